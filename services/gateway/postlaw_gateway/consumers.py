"""The gateway's ear for revocations: it tails identity's topic on every partition, without a group, so that every gateway hears all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from postlaw_common.bus import Bus, BusUnavailable
from postlaw_common.bus.once import end_offsets
from postlaw_gateway.wire import IDENTITY_TOPIC, REVOKED_TYPE, revoked_key_id

_DEAF_AFTER_S = 3.0  # a dead bus is known within about two seconds (Reader.read)


class RevocationTail:
    """`hears` is False while the bus is away."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._positions: dict[tuple[str, int], int] = {}
        self._heard_at = float("-inf")

    def hears(self) -> bool:
        return time.monotonic() - self._heard_at < _DEAF_AFTER_S

    async def start(self) -> None:
        """Notes where the topic ends now: revocations before that are known to identity, and no key is kept yet."""
        self._positions = await end_offsets(self._bus, [(IDENTITY_TOPIC, partition) for partition in range(self._bus.partitions)])
        self._heard_at = time.monotonic()

    async def run(self, revoke: Callable[[str], None]) -> None:
        """Calls `revoke(credential_id)` for each ApiKeyRevoked, until cancelled.
        After the bus was away it reads on from its own positions, so that nothing is missed."""
        while True:
            try:
                await self._read_while_it_lasts(revoke)
            except BusUnavailable:
                await asyncio.sleep(0.2)

    async def _read_while_it_lasts(self, revoke: Callable[[str], None]) -> None:
        reader = await self._bus.reader(standing=True)
        try:
            await reader.assign(self._positions)
            while True:
                for record in await reader.read(timeout=0.5):
                    if record.headers.get("ce_type") == REVOKED_TYPE.encode():
                        revoke(revoked_key_id(record.value))
                    self._positions[record.topic, record.partition] = record.offset + 1
                self._heard_at = time.monotonic()
        finally:
            await reader.close()
