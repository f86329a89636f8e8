"""From entries to the events in them: most are one entry, one over the limit is several, which stand one behind the other."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw_audit.domain.tiles import WIDTH, entry_of
from postlaw_audit.reader import LogReader


@dataclass(frozen=True, slots=True)
class Event:
    """`index`: of its last entry, by which it is found. `pieces`: its entries' own bytes; `data`: the event's."""

    index: int
    entry: audit.Entry
    data: bytes
    pieces: Sequence[bytes]

    @property
    def first(self) -> int:
        return self.index - len(self.pieces) + 1


@dataclass(slots=True)
class Joined:
    """Takes entries in the log's order, and gives each event once it is whole."""

    _pieces: list[bytes] = field(default_factory=list[bytes])
    _data: list[bytes] = field(default_factory=list[bytes])

    @property
    def pending(self) -> bool:
        return bool(self._pieces)

    def take(self, index: int, piece: bytes) -> Event | None:
        entry = audit.Entry.FromString(piece)
        if "part" not in entry.context:
            return Event(index, entry, entry.data, (piece,))
        part, _, parts = entry.context["part"].partition("/")
        if part == "1":
            self._pieces, self._data = [], []
        self._pieces.append(piece)
        self._data.append(entry.data)
        if part != parts:
            return None
        event = Event(index, entry, b"".join(self._data), self._pieces)
        self._pieces, self._data = [], []
        return event


async def events_at(reader: LogReader, indexes: Sequence[int], size: int) -> list[Event]:
    """The events whose last entries stand there, each bundle read once. Raises Unavailable."""
    numbers = {index // WIDTH for index in indexes}
    bundles = dict(zip(numbers, await asyncio.gather(*(reader.packed_bundle(number, size) for number in numbers)), strict=True))
    return [await _event(reader, bundles, index, size) for index in indexes]


async def _event(reader: LogReader, bundles: dict[int, bytes], index: int, size: int) -> Event:
    """`bundles`: by number, those that are read; where the event begins in one before, that one joins them."""
    last = entry_of(bundles[index // WIDTH], index % WIDTH)
    entry = audit.Entry.FromString(last)
    parts = int(entry.context.get("part", "").partition("/")[2] or 1)
    if parts == 1:
        return Event(index, entry, entry.data, (last,))
    joined = Joined()
    for at in range(index - parts + 1, index + 1):
        if at // WIDTH not in bundles:
            bundles[at // WIDTH] = await reader.packed_bundle(at // WIDTH, size)
        if (event := joined.take(at, entry_of(bundles[at // WIDTH], at % WIDTH))) is not None:
            return event
    raise AssertionError(f"entry {index} of the log ends no event")
