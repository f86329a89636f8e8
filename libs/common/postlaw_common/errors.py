"""What can go wrong, in one small family: domain code raises these, the edges turn them into gRPC status and problem+json.

`type` is the stable end of the problem's URI (`https://postlaw.dev/problems/<type>`); `detail` says what was wrong, where, and
what to do, and never holds personal data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong field: its path in the contract's names (`template.subject`), and what is wrong with it."""

    field: str
    message: str


class PostlawError(Exception):
    """The family's root. `status` is the HTTP status; the gRPC code follows from it (postlaw_common.rpc.status)."""

    type = "internal"
    title = "Something failed on our side"
    status = 500

    def __init__(
        self,
        detail: str,
        *,
        type: str | None = None,
        fields: Sequence[FieldError] = (),
        retry_after_s: float | None = None,
        incident: str = "",
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.type = type or self.type
        self.fields = tuple(fields)
        self.retry_after_s = retry_after_s
        self.incident = incident  # where the cause stands in our own log; only of errors that were not expected


class Invalid(PostlawError):
    type, title, status = "invalid-request", "The request is not valid", 400


class Unauthenticated(PostlawError):
    type, title, status = "unauthenticated", "Who is calling could not be established", 401


class Denied(PostlawError):
    type, title, status = "denied", "The caller may not do this", 403


class NotFound(PostlawError):
    type, title, status = "not-found", "There is no such thing", 404


class Conflict(PostlawError):
    type, title, status = "conflict", "The state of the thing does not allow this", 409


class VersionMismatch(PostlawError):
    type, title, status = "version-mismatch", "The thing has changed since it was read", 412


class TooLarge(PostlawError):
    type, title, status = "too-large", "The request is too large", 413


class Unprocessable(PostlawError):
    """Well formed, and refused for what it asks: `type` says by which rule."""

    type, title, status = "unprocessable", "The request cannot be carried out as it is", 422


class KeyReused(Unprocessable):
    type, title = "idempotency-key-reused", "This Idempotency-Key was used for another request"


class RateLimited(PostlawError):
    type, title, status = "rate-limited", "Too many requests", 429


class Unavailable(PostlawError):
    """Try again: a part that this needs cannot be reached now."""

    type, title, status = "unavailable", "A part that this needs cannot be reached now", 503


class DeadlineExceeded(PostlawError):
    type, title, status = "deadline-exceeded", "There was no answer in time", 504
