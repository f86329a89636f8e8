"""What a person should know of (promise S3): refusals become AccessRefused on the security topic, off the request's path.

The first few of a kind are told at once, the same again within half a minute together at its end, and of too many kinds all others as one:
whoever tries ids by the million writes a line or two a second into the log, with their number.
"""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from postlaw_common.bus import Bus, BusUnavailable
from postlaw_common.caller import Caller, acting_as
from postlaw_common.events import Event, new_event, to_record
from postlaw_common.telemetry import get_logger, meter
from postlaw_gateway.wire import SECURITY_TOPIC, SECURITY_TYPE, access_refused

_WAITING = 10_000  # events; beyond that an attacker would fill our memory: the overflow is counted and logged
_AT_ONCE = 500
TOGETHER_S = 30.0
KINDS_AT_ONCE = 30
TOLD_AT_ONCE = 3  # of each
_NAMED = 20

_refused = meter("postlaw.gateway").create_counter(
    "postlaw.gateway.refusals", unit="{request}", description="Requests refused for their credentials, scopes, ids or links, by kind"
)
_overflow = meter("postlaw.gateway").create_counter(
    "postlaw.gateway.security_events.lost", unit="{event}", description="Refusals that no event tells of, because too many waited"
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """`kind` as in AccessRefused; `path` is the route's template, never the ids; `caller` None: unknown, and then `network`, the address
    block that it came from, of whoever sent a key."""

    kind: str
    method: str
    path: str
    caller: Caller | None = None
    object_id: str = ""
    network: str = ""


@dataclass(slots=True)
class _Again:
    """What came of the same within its half minute, beside the first few."""

    told: int = 0
    times: int = 0
    object_ids: dict[str, None] = field(default_factory=dict[str, None])


class SecurityEvents:
    def __init__(self, bus: Bus, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._bus = bus
        self._monotonic = monotonic
        self._waiting: asyncio.Queue[Event] = asyncio.Queue(_WAITING)
        self._batch: list[Event] = []  # taken from the queue, not yet known to be on the bus
        self._lost = 0
        self._again: dict[Refusal, _Again] = {}
        self._since = monotonic()
        self._log = get_logger("gateway")

    def refused(self, refusal: Refusal) -> None:
        """Takes it down, at once; the first few of its kind are published within moments."""
        _refused.add(1, {"kind": refusal.kind})
        if self._monotonic() - self._since >= TOGETHER_S:
            self._together()
        same = replace(refusal, caller=_plain(refusal.caller))
        if same not in self._again and len(self._again) >= KINDS_AT_ONCE:
            same = Refusal(refusal.kind, "", "")
        again = self._again.setdefault(same, _Again())
        if again.told < TOLD_AT_ONCE:
            again.told += 1
            self._put(refusal if same.path else same, 1, ())
            return
        again.times += 1
        if refusal.object_id and len(again.object_ids) < _NAMED:
            again.object_ids[refusal.object_id] = None

    def _together(self) -> None:
        """What came again since then."""
        for refusal, again in self._again.items():
            if again.times:
                self._put(refusal, again.times, tuple(again.object_ids))
        self._again.clear()
        self._since = self._monotonic()

    def _put(self, refusal: Refusal, times: int, object_ids: tuple[str, ...]) -> None:
        tenant_id = refusal.caller.tenant_id if refusal.caller else ""
        credential_id = refusal.caller.credential_id if refusal.caller else ""
        said = (tenant_id, credential_id, refusal.kind, refusal.method, refusal.path, refusal.object_id, times, object_ids)
        with acting_as(refusal.caller):
            event = new_event(
                SECURITY_TYPE,
                access_refused(*said),
                source="gateway",
                subject=credential_id or "unknown",
                sequence=0,
                tenant_id=tenant_id,
            )
        try:
            self._waiting.put_nowait(event._replace(network=refusal.network) if refusal.network else event)
        except asyncio.QueueFull:
            self._lost += times
            _overflow.add(times)

    async def run(self) -> None:
        """Publishes until cancelled; what the bus did not take is tried again."""
        _overflow.add(0)
        while True:
            try:
                async with asyncio.timeout(TOGETHER_S):
                    self._batch.append(await self._waiting.get())
            except TimeoutError:
                self._together()
                continue
            await self._publish()

    async def flush(self) -> None:
        """Publishes what waits: when stopping, and in tests."""
        self._together()
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


def _plain(caller: Caller | None) -> Caller | None:
    """Without what differs from request to request."""
    return replace(caller, signed=b"", origin=None) if caller else None
