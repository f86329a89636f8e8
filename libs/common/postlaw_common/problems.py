"""RFC 9457 problem details from errors: what every REST answer that is no success holds."""

from __future__ import annotations

from typing import Any

from postlaw_common.errors import PostlawError

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "https://postlaw.dev/problems/"


def problem(error: PostlawError) -> dict[str, Any]:
    """The body. `type` is stable, `detail` for people; `fields` names what is wrong in the request; `instance` (of unexpected
    failures only) is the incident under which our log holds the cause. RFC 9457 §3.1, and §3.2 for `fields`."""
    body: dict[str, Any] = {
        "type": TYPE_PREFIX + error.type,
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
    }
    if error.fields:
        body["fields"] = [{"field": wrong.field, "message": wrong.message} for wrong in error.fields]
    if error.incident:
        body["instance"] = f"urn:postlaw:incident:{error.incident}"
    return body


def headers(error: PostlawError) -> dict[str, str]:
    """Beside the body: Content-Type, and Retry-After in whole seconds (RFC 9110 §10.2.3) where coming again makes sense."""
    sent = {"content-type": MEDIA_TYPE}
    if error.retry_after_s is not None:
        sent["retry-after"] = str(max(1, -int(-error.retry_after_s // 1)))
    if error.status == 401:
        sent["www-authenticate"] = "Bearer"
    return sent
