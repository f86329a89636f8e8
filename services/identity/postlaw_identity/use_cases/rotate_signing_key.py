"""Publishes the next signing key; it begins to sign once every verifier has had time to fetch it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from postlaw_common.bus import Record
from postlaw_common.errors import Conflict
from postlaw_common.store import VersionConflict
from postlaw_identity.announcing import Announcing
from postlaw_identity.domain.announcements import SigningKeyRotated
from postlaw_identity.domain.key_ring import KeyRing, SigningKey
from postlaw_identity.signing_keys import SigningKeys


class RotateSigningKey:
    """`lead_us`: how long a key is published before it signs. Verifiers fetch keys every five minutes, and on an unknown one."""

    def __init__(self, signing_keys: SigningKeys, announcing: Announcing, now_us: Callable[[], int], lead_us: int) -> None:
        self._signing_keys = signing_keys
        self._announcing = announcing
        self._now_us = now_us
        self._lead_us = lead_us

    async def __call__(self) -> tuple[SigningKey, ...]:
        """All keys that verifiers believe from now on. Raises Conflict while the last new key has still to begin."""
        while True:
            ring, document = await self._signing_keys.read()
            now = self._now_us()
            if coming := ring.coming(now):
                begins = datetime.fromtimestamp(coming.signs_from_us / 1e6, UTC).isoformat(timespec="seconds")
                raise Conflict(f"The key {coming.key_id} is published already and begins to sign at {begins}. Rotate again after that.")
            fresh = await self._signing_keys.make(not_before_us=now, signs_from_us=now + self._lead_us)
            rotated = ring.rotated(fresh, now)
            try:
                await self._signing_keys.replace(rotated, document, self.announcement(rotated))
                return rotated.published(now)
            except VersionConflict:
                continue  # two operators at once: the second one sees the first one's key

    def announcement(self, ring: KeyRing) -> Record:
        """Of the ring's youngest key."""
        return self._announcing.record(SigningKeyRotated(ring.keys[-1], ring.version), self._now_us())


class ListSigningKeys:
    def __init__(self, signing_keys: SigningKeys, now_us: Callable[[], int]) -> None:
        self._signing_keys = signing_keys
        self._now_us = now_us

    async def __call__(self) -> tuple[SigningKey, ...]:
        return (await self._signing_keys.ring()).published(self._now_us())
