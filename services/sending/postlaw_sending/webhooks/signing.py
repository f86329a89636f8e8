"""Standard Webhooks (standardwebhooks.com, version 1): id, time and body under HMAC-SHA256, by each secret that is valid."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence

_PREFIX = "whsec_"


def new_secret() -> bytes:
    return secrets.token_bytes(32)


def shown(secret: bytes) -> str:
    return _PREFIX + base64.b64encode(secret).decode("ascii")


def headers(id: str, at_s: int, body: bytes, keys: Sequence[bytes]) -> Mapping[str, str]:
    """`keys`: the newest first."""
    said = f"{id}.{at_s}.".encode() + body
    signatures = [base64.b64encode(hmac.digest(key, said, hashlib.sha256)).decode("ascii") for key in keys]
    return {
        "webhook-id": id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }
