"""The log held against the bus: each entry against the record that it was made of, each record against its entry (promise S8).

`audit verify` trusts nothing and says whether the log is whole in itself; this one says whether it is what happened. It reads the log once
from its beginning, beside the topics, for as long as the bus keeps them. What was before the topics' present generation is left out: a
restore set them back, and other records stand at those offsets.
"""

from __future__ import annotations

import json
from collections import OrderedDict, defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Final, NamedTuple

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw_audit.domain.tiles import WIDTH
from postlaw_audit.lagging import waiting
from postlaw_audit.log_state import LogState
from postlaw_audit.reader import LogReader
from postlaw_common.bus import Bus, Received
from postlaw_common.bus.generation import PLACE as GENERATION
from postlaw_common.bus.generation import resumed_at
from postlaw_common.errors import Unavailable
from postlaw_common.reconciling import Check, Difference, Step, on_bus

LOOK_BACK: Final = 500  # records before one that the log has: so many of a longer gap are named
REMEMBERED: Final = 50_000  # aggregates whose last version is known; of one that is heard of seldom, a gap may go unseen
UNBROKEN: Final = ("postlaw.consent.events.v1", "postlaw.sending.webhooks.v1", "postlaw.consent.forms.v1", "postlaw.sending.domains.v1")
"""Topics whose aggregates have every version on the bus, from 1 on."""

Place = tuple[str, int]


class _Held(NamedTuple):
    """What the log has of one record; `place`: of its last entry."""

    place: int
    event_id: str
    tenant_id: str
    data: bytes


class LogChecks:
    """`state`: the log's, None before its first commit. `before_us`: what is younger may still be on its way into the log."""

    def __init__(self, reader: LogReader, bus: Bus, state: Callable[[], Awaitable[LogState | None]], before_us: Callable[[], int]) -> None:
        self._reader = reader
        self._bus = bus
        self._state = state
        self._before_us = before_us

    def all(self) -> tuple[Check, ...]:
        return Check("events against entries", self.events_against_entries), Check("events not in the log", self.left_out)

    async def events_against_entries(self, cursor: str) -> AsyncGenerator[Step]:
        """`cursor`: the bundle to go on from (that in which an event in several entries begins, until it is over), whether what stands
        there is of the present generation, and where each partition goes on."""
        state = await self._state()
        try:
            size = (await self._reader.checkpoint())[0].size
        except Unavailable:
            return  # nothing has happened yet
        if state is None:
            return
        before_us = self._before_us()
        first, comparing, following = _read(cursor) if cursor else (0, len(state.generations) < 2, {})
        async with aclosing(self._bundles(first, size, comparing, following, state.generations)) as steps:
            async for step, now in steps:
                cursor, comparing = step.cursor, now
                yield step
        if not comparing:  # a log that began after the last restore has no entry of it: all of it is of the present generation
            following.clear()
            async with aclosing(self._bundles(0, size, True, following, state.generations)) as steps:
                async for step, _ in steps:
                    cursor = step.cursor
                    yield step
        if found := await self._passed_over(state, following, before_us):
            yield Step(cursor, 0, found)

    async def _bundles(
        self, first: int, size: int, comparing: bool, following: dict[Place, int], generations: Sequence[str]
    ) -> AsyncGenerator[tuple[Step, bool]]:
        versions: OrderedDict[str, int] = OrderedDict()
        pieces: dict[Place, tuple[int, bytes]] = {}  # of an event that is not over: the bundle in which it began, what there is of it
        for number in range(first, -(-size // WIDTH)):
            held: defaultdict[Place, dict[int, _Held]] = defaultdict(dict)
            found: list[Difference] = []
            entries = await self._reader.bundle(number, size, once=True)
            for index, entry in enumerate(map(audit.Entry.FromString, entries), number * WIDTH):
                place = (entry.topic, entry.partition)
                if place == GENERATION:
                    comparing = entry.data.partition(b"\n")[0].decode() == generations[-1]
                    _follow(following, held)
                    following.update(resumed_at(entry.data, following))
                    held.clear()
                    pieces.clear()
                    continue
                part, _, parts = entry.context.get("part", "").partition("/")
                began, data = pieces.pop(place, (number, b""))
                data += entry.data
                if part != parts:
                    pieces[place] = began, data
                    continue
                held[place][entry.offset] = _Held(index, entry.event_id, entry.tenant_id, data)
                found += _gap(versions, entry, index)
            if comparing:
                for place, records in held.items():
                    found += await self._compared(place, records, following.get(place, 0))
            _follow(following, held)
            on_from = min([number + 1, *(began for began, _ in pieces.values())])
            at = json.dumps([on_from, comparing, [[*place, offset] for place, offset in following.items()]])
            yield Step(at, len(entries), found), comparing

    async def _passed_over(self, state: LogState, following: Mapping[Place, int], before_us: int) -> list[Difference]:
        """What the log counts as read, and has no entry of at its end: a whole partition, perhaps."""
        found = list[Difference]()
        for topic, row in state.offsets.items():
            for partition, read in enumerate(row):
                first = max(following.get((topic, partition), 0), read - LOOK_BACK)
                passed = await self._bus.read_range(topic, partition, first, read) if first < read else []
                found += [_lacking(record) for record in passed if record.timestamp_us <= before_us]
        return found

    async def _compared(self, place: Place, held: dict[int, _Held], following: int) -> list[Difference]:
        """`following`: the offset that comes next, by what was read before."""
        topic, partition = place
        first, last = max(following, min(held) - LOOK_BACK), max(held)
        there = {record.offset: record for record in await self._bus.read_range(topic, partition, first, last + 1)}
        found = [_lacking(record) for offset, record in sorted(there.items()) if offset not in held]
        for offset, one in sorted(held.items()):
            record = there.get(offset)  # None: the bus has it no more
            if record is not None and record.value != one.data:
                ids = (one.event_id, f"entry {one.place}", on_bus(topic, partition, offset))
                found.append(Difference("an entry that is not what stands on the bus", ids, one.tenant_id))
        return found

    async def left_out(self, cursor: str) -> AsyncGenerator[Step]:
        """What is older than a writer takes, and behind what it has read. `cursor` is not needed: one look at each partition."""
        state = await self._state()
        if state is None or cursor:
            return
        before_us, found = self._before_us(), list[Difference]()
        async with aclosing(waiting(self._bus, state)) as lacking:
            async for first, count in lacking:
                if first.timestamp_us <= before_us:
                    found.append(_lacking(first, f"{count} records wait"))
        yield Step("looked", sum(map(len, state.offsets.values())), found)


def _follow(following: dict[Place, int], held: Mapping[Place, dict[int, _Held]]) -> None:
    following.update({place: max(records) + 1 for place, records in held.items()})


def _read(cursor: str) -> tuple[int, bool, dict[Place, int]]:
    bundle, comparing, following = json.loads(cursor)
    return bundle, comparing, {(topic, partition): at for topic, partition, at in following}


def _gap(versions: OrderedDict[str, int], entry: audit.Entry, index: int) -> Sequence[Difference]:
    """An event of an aggregate whose version before has no entry."""
    if not entry.sequence or entry.topic not in UNBROKEN:
        return ()
    name = f"{entry.topic} {entry.subject}"
    known = versions.pop(name, None)
    versions[name] = max(entry.sequence, known or 0)  # one that was published twice comes again
    if len(versions) > REMEMBERED:
        versions.popitem(last=False)
    if known is None or entry.sequence <= known + 1:
        return ()
    ids = (entry.event_id, f"entry {index}", entry.subject)
    return [Difference(f"an aggregate without its event {known + 1}", ids, entry.tenant_id)]


def _lacking(record: Received, *more: str) -> Difference:
    named = record.headers.get("ce_id", b"").decode("utf-8", "replace")
    ids = (named, on_bus(record.topic, record.partition, record.offset), *more)
    return Difference("an event that the log lacks", ids, record.headers.get("ce_tenant", b"").decode("utf-8", "replace"))
