"""Whom and what a stop is about: a recipient's tag, and which withdrawal covers which message."""

from __future__ import annotations

import hashlib

EVERYTHING = "*"


def recipient_tag(tenant_id: str, address_key: bytes) -> bytes:
    """16 bytes that stand for (tenant, address_key) in claims and watermarks.

    Two recipients with one tag would share a stop, which errs on the side of silence."""
    return hashlib.sha256(tenant_id.encode() + b"\0" + address_key).digest()[:16]


def covers(withdrawn: str, message: str) -> bool:
    """Whether a withdrawal of `withdrawn` stops a message that belongs to `message`.

    Scopes are written "list:<id>", "topic:<name>" or "*". A message that belongs to nothing in particular is stopped by any."""
    return withdrawn in (EVERYTHING, message) or message == EVERYTHING
