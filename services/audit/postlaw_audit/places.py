"""Where the log's entries stood on the bus: each partition's records one after the other, none left out, none twice."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.message import DecodeError

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw_common.bus.generation import PLACE as GENERATION
from postlaw_common.bus.generation import resumed_at

MOST_FAULTS = 20


class Places:
    """So that even whoever holds the signing key cannot leave out an event, or enter one twice, without its being named here. Offsets come
    again only behind an entry that says from where: the record of a generation of the topics, which a restore began."""

    def __init__(self) -> None:
        self._next: dict[tuple[str, int], int] = {}  # offset
        self._piece: dict[tuple[str, int], str] = {}  # where a record has several entries: the one that comes next ("2/3")
        self.faults: list[str] = []  # the first MOST_FAULTS
        self.generations = 0

    def follow(self, number: int, entries: Sequence[bytes]) -> None:
        """The log's next entries, from `number` on."""
        parse, following, pieces = audit.Entry.FromString, self._next, self._piece
        for at, data in enumerate(entries, number):
            try:
                entry = parse(data)
            except DecodeError:
                self._fault(f"entry {at} is no entry of ours")
                continue
            offset, place = entry.offset, (entry.topic, entry.partition)
            # As nearly all of them are: what a million a minute costs is this line.
            if following.get(place) == offset and not pieces and not entry.context.get("part") and place != GENERATION:
                following[place] = offset + 1
            else:
                self._place(at, entry, place)

    def _place(self, at: int, entry: audit.Entry, place: tuple[str, int]) -> None:
        part = entry.context.get("part", "")
        number, _, of = part.partition("/")
        offset, piece = self._next.get(place, 0), self._piece.pop(place, "")
        try:
            if place == GENERATION:
                self._begin(entry.data)
                return
            if number != of:
                self._piece[place] = f"{int(number) + 1}/{of}"
            self._next[place] = entry.offset + (number == of)
        except (ValueError, TypeError, LookupError):
            self._fault(f"entry {at} is no entry of ours")
            return
        fits = part == piece if piece else not part or number == "1"
        if entry.offset != offset or not fits:
            found, wanted = _record(entry.offset, part), _record(offset, piece)
            self._fault(f"entry {at} is {found} of {entry.topic}/{entry.partition}, where {wanted} comes next")

    def _begin(self, generation: bytes) -> None:
        """The topics were set back, after a restore: they go on where they ended then."""
        resumed = resumed_at(generation, self._next)
        for place in [place for place in self._piece if resumed[place] != self._next[place]]:
            del self._piece[place]
        self._next.update(resumed)
        self.generations += 1

    def _fault(self, fault: str) -> None:
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(fault)


def _record(offset: int, part: str) -> str:
    return f"offset {offset} part {part}" if part else f"offset {offset}"
