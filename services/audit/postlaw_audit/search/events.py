"""From entries to the events in them: most are one entry, one over the limit is several, which stand one behind the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw_audit.domain.tiles import WIDTH
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

    def take(self, index: int, piece: bytes) -> Iterator[Event]:
        entry = audit.Entry.FromString(piece)
        part, _, parts = entry.context.get("part", "").partition("/")
        if part == "1":
            self._pieces, self._data = [], []
        self._pieces.append(piece)
        self._data.append(entry.data)
        if part == parts:
            yield Event(index, entry, b"".join(self._data), self._pieces)
            self._pieces, self._data = [], []


async def event_at(reader: LogReader, index: int, size: int) -> Event:
    """The event whose last entry stands there. Raises Unavailable."""
    joined = Joined()
    last = (await reader.bundle(index // WIDTH, size))[index % WIDTH]
    parts = int(audit.Entry.FromString(last).context.get("part", "").partition("/")[2] or 1)
    for at in range(index - parts + 1, index + 1):
        for event in joined.take(at, (await reader.bundle(at // WIDTH, size))[at % WIDTH]):
            return event
    raise AssertionError(f"entry {index} of the log ends no event")
