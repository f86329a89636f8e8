"""Whom and what a stop is about: a recipient's tag, and which withdrawal covers which message."""

from __future__ import annotations

import hashlib

EVERYTHING = "*"
BRAND = "brand:"


def recipient_tag(tenant_id: str, address_key: bytes) -> bytes:
    """16 bytes that stand for (tenant, address_key) in claims and watermarks.

    Two recipients with one tag would share a stop, which errs on the side of silence."""
    return hashlib.sha256(tenant_id.encode() + b"\0" + address_key).digest()[:16]


def covers(withdrawn: str, message: str) -> bool:
    """Whether a withdrawal of `withdrawn` stops a message that belongs to `message` (`belonging`).

    A message that belongs to nothing in particular is stopped by any, one of a brand alone by any of a list or topic, which may be
    the brand's."""
    if withdrawn == EVERYTHING:
        return True
    narrow, _, brand = message.partition("\n")
    return withdrawn in (narrow, brand) or narrow == EVERYTHING or (_is_brand(narrow) and not _is_brand(withdrawn))


def belonging(scope: str, brand: str) -> str:
    """What a message belongs to, as one text: its scope, and in a line below it the brand of that, where one is known ("" for none).

    Scopes are written "list:<id>", "topic:<name>", "brand:<name>" or "*"; no name has a line's end in it (consent refuses it)."""
    if not brand or _is_brand(scope):
        return scope
    return BRAND + brand if scope == EVERYTHING else f"{scope}\n{BRAND}{brand}"


def _is_brand(scope: str) -> bool:
    return scope.startswith(BRAND)
