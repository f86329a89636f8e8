"""The event that tells of a webhook's change."""

from __future__ import annotations

import hashlib
from urllib.parse import urlsplit

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_sending.webhooks.domain import Change, Webhook

WEBHOOKS_CHANGED = "postlaw.sending.webhooks.v1"
WEBHOOK_CHANGED = "postlaw.sending.WebhookChanged"

_CHANGES: dict[Change, sending.WebhookChanged.Change.ValueType] = {
    "created": sending.WebhookChanged.CHANGE_CREATED,
    "event types set": sending.WebhookChanged.CHANGE_EVENT_TYPES_SET,
    "secret rotated": sending.WebhookChanged.CHANGE_SECRET_ROTATED,
    "redelivery asked": sending.WebhookChanged.CHANGE_REDELIVERY_ASKED,
    "disabled": sending.WebhookChanged.CHANGE_DISABLED,
    "deleted": sending.WebhookChanged.CHANGE_DELETED,
}


def changed(change: Change, before: Webhook | None, after: Webhook | None, revision: int) -> bytes:
    """A WebhookChanged. One of the two is there."""
    webhook = after or before
    assert webhook is not None
    return sending.WebhookChanged(
        tenant_id=webhook.tenant_id,
        webhook_id=webhook.id,
        change=_CHANGES[change],
        before=_state(before) if before else None,
        after=_state(after) if after else None,
        version=revision,
    ).SerializeToString()


def _state(webhook: Webhook) -> sending.WebhookChanged.State:
    return sending.WebhookChanged.State(
        host=urlsplit(webhook.url).hostname or "",
        url_hash=hashlib.sha256(webhook.url.encode()).digest(),
        event_types=webhook.event_types,
        disabled_because=webhook.disabled_because,
        secrets=len(webhook.secrets),
    )
