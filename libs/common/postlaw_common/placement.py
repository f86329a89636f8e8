"""Placement: which partition a person's consent events and send jobs share (design §3)."""

from __future__ import annotations

import hashlib


class Placement:
    """A keyed hash of (tenant, address_key) onto the installation's partitions. Its key is never rotated."""

    def __init__(self, key: bytes, partitions: int) -> None:
        self._start = hashlib.blake2b(key=key, digest_size=8, person=b"postlaw-placing1"[:16])
        self.partitions = partitions

    def partition(self, tenant_id: str, address_key: bytes) -> int:
        """`tenant_id` as it stands, `address_key` 33 bytes (key version, HMAC-SHA-256)."""
        digest = self._start.copy()
        digest.update(tenant_id.encode() + b"\0" + address_key)
        return int.from_bytes(digest.digest(), "big") % self.partitions
