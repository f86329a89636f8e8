"""What a person should know of (promise S3): each refusal becomes an AccessRefused on the security topic, off the request's path."""

from __future__ import annotations

import asyncio
import zlib
from dataclasses import dataclass

from postlaw_common.bus import Bus, BusUnavailable
from postlaw_common.caller import Caller, acting_as
from postlaw_common.events import Event, new_event, to_record
from postlaw_common.telemetry import get_logger, meter
from postlaw_gateway.wire import SECURITY_TOPIC, SECURITY_TYPE, access_refused

_WAITING = 10_000  # events; beyond that an attacker would fill our memory: the overflow is counted and logged
_AT_ONCE = 500

_refused = meter("postlaw.gateway").create_counter(
    "postlaw.gateway.refusals", unit="{request}", description="Requests refused for their credentials, scopes, ids or links, by kind"
)
_overflow = meter("postlaw.gateway").create_counter(
    "postlaw.gateway.security_events.lost", unit="{event}", description="Refusals that no event tells of, because too many waited"
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """`kind` as in AccessRefused; `path` is the route's template, never the ids; `caller` None: unknown."""

    kind: str
    method: str
    path: str
    caller: Caller | None = None
    object_id: str = ""


class SecurityEvents:
    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._waiting: asyncio.Queue[Event] = asyncio.Queue(_WAITING)
        self._batch: list[Event] = []  # taken from the queue, not yet known to be on the bus
        self._lost = 0
        self._log = get_logger("gateway")

    def refused(self, refusal: Refusal) -> None:
        """Takes it down, at once; it is published within moments."""
        _refused.add(1, {"kind": refusal.kind})
        tenant_id = refusal.caller.tenant_id if refusal.caller else ""
        credential_id = refusal.caller.credential_id if refusal.caller else ""
        with acting_as(refusal.caller):
            event = new_event(
                SECURITY_TYPE,
                access_refused(tenant_id, credential_id, refusal.kind, refusal.method, refusal.path, refusal.object_id),
                source="gateway",
                subject=credential_id or "unknown",
                sequence=0,
                tenant_id=tenant_id,
            )
        try:
            self._waiting.put_nowait(event)
        except asyncio.QueueFull:
            self._lost += 1
            _overflow.add(1)

    async def run(self) -> None:
        """Publishes until cancelled; what the bus did not take is tried again."""
        _overflow.add(0)
        while True:
            self._batch.append(await self._waiting.get())
            await self._publish()

    async def flush(self) -> None:
        """Publishes what waits: when stopping, and in tests."""
        if self._batch or not self._waiting.empty():
            await self._publish()

    async def _publish(self) -> None:
        while len(self._batch) < _AT_ONCE and not self._waiting.empty():
            self._batch.append(self._waiting.get_nowait())
        records = [to_record(event, SECURITY_TOPIC, self._partition(event)) for event in self._batch]
        while True:
            try:
                await self._bus.publish(records)
                break
            except BusUnavailable:
                await asyncio.sleep(0.5)
        self._batch = []
        if self._lost:
            self._log.warning("security events were lost: too many waited", lost=self._lost)
            self._lost = 0

    def _partition(self, event: Event) -> int:
        return zlib.crc32(event.subject.encode()) % self._bus.partitions
