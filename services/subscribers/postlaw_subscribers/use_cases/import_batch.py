"""One batch of an import: judge the rows, seal the people, store them, record their consent. Safe to repeat as a whole.

The way of most rows is bulk inserts alone: keys, members, people, in this order, so that nobody can delete a person whose copies are
still to come. Who turns out to be there already goes the slow way (known_rows.py). Every person that an import makes is marked with
the row that made them; so a repeated batch counts what it counted before, and a second row of one address is seen without
remembering any.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from postlaw_common.crypto import seal
from postlaw_common.foreground import step_aside
from postlaw_common.placement import Placement
from postlaw_common.store import Document
from postlaw_subscribers.addresses import InvalidAddress, normalise
from postlaw_subscribers.domain.csv_header import Header
from postlaw_subscribers.domain.csv_rows import Row
from postlaw_subscribers.domain.digest import is_digest
from postlaw_subscribers.domain.import_job import (
    CONTROL_CHARACTER,
    DIGEST_OF_ADDRESS,
    DUPLICATE_IN_FILE,
    INVALID_ADDRESS,
    NO_ADDRESS,
    TOO_MANY_CELLS,
    Attestation,
    Outcome,
)
from postlaw_subscribers.domain.person import AddressIndex, subscriber_id
from postlaw_subscribers.members import Encode, edition_of, to_member
from postlaw_subscribers.people import pack_profile
from postlaw_subscribers.person_keys import KEYS_BYTES, PROFILE, Keys, Wrapping, document_id
from postlaw_subscribers.refused_rows import WARNING, Refusal
from postlaw_subscribers.rooms import Rooms

AT_ONCE = 100  # rows judged or sealed before others get their turn on the event loop: some 5 ms
TOGETHER = 2000  # rows stored and recorded as one, at most


@dataclass(frozen=True, slots=True)
class ImportSource:
    """What is the same for all rows of an import. `attested` None: the customer attests no consent. `attestation`: what is sealed of it."""

    tenant_id: str
    import_id: str
    list_id: str
    header: Header
    index: AddressIndex
    wrapping: Wrapping
    placement: Placement
    now_us: int
    attested: Attestation | None
    attestation: bytes
    encode: Encode


class Candidate(NamedTuple):
    """A row that can be taken. A tuple, as all that is made once a row: a frozen dataclass costs four times as much."""

    row: Row
    address_key: bytes
    name: str  # of their documents
    address: str
    fields: dict[str, str]


@dataclass(slots=True)
class Result:
    taken: dict[Outcome, int] = field(default_factory=dict[Outcome, int])
    refusals: list[Refusal] = field(default_factory=list[Refusal])
    warnings: dict[str, int] = field(default_factory=dict[str, int])
    warned: list[Refusal] = field(default_factory=list[Refusal])  # rows that are taken, and stand in the report all the same
    values: dict[str, list[str]] = field(default_factory=dict[str, list[str]])  # of times, addresses and forms

    def took(self, outcome: Outcome, count: int = 1) -> None:
        self.taken[outcome] = self.taken.get(outcome, 0) + count

    def warn(self, warning: str, rows: int = 1) -> None:
        self.warnings[warning] = self.warnings.get(warning, 0) + rows

    def warn_of(self, row: Row, warning: str, column: str) -> None:
        """As `warn`, of one row that the report names."""
        self.warn(warning)
        self.warned.append(Refusal(row.number, WARNING + warning, column, row.cells))

    def saw(self, what: str, value: str) -> None:
        self.values.setdefault(what, []).append(value)

    def refuse(self, row: Row, reason: str, column: str = "", *, withheld: bool = False) -> None:
        """`withheld`: the report does not show the row's cells."""
        self.refusals.append(Refusal(row.number, reason, column, () if withheld else row.cells))


async def judge(source: ImportSource, rows: Sequence[Row], result: Result) -> list[Candidate]:
    """The rows that can be taken, of several with one address the first; ascending by address key: neighbours in the store's indexes are so
    written together. Keys are random: the more rows come together, the fewer pages of an index each one costs."""
    names = source.header.names
    columns = [(place, name) for place, name in enumerate(names) if name and name != names[source.header.address_at]]
    accepted: dict[bytes, Candidate] = {}
    for start in range(0, len(rows), AT_ONCE):
        for row in rows[start : start + AT_ONCE]:
            if not row.reason and not any(row.cells):
                continue  # a blank line is no row
            candidate = _judge_row(source, columns, row, result)
            if candidate is None:
                continue
            if candidate.address_key in accepted:
                result.refuse(row, DUPLICATE_IN_FILE, names[source.header.address_at])
            else:
                accepted[candidate.address_key] = candidate
        await step_aside()
    return sorted(accepted.values(), key=lambda candidate: candidate.address_key)


def stretches(candidates: Sequence[Candidate], longest: int) -> Iterator[Sequence[Candidate]]:
    """In parts of one size."""
    parts = -(-len(candidates) // longest)
    for part in range(parts):
        yield candidates[len(candidates) * part // parts : len(candidates) * (part + 1) // parts]


def _judge_row(source: ImportSource, columns: Sequence[tuple[int, str]], row: Row, result: Result) -> Candidate | None:
    """`columns`: those that become fields, by their place."""
    cells = cells_of(source.header, row, result)
    if cells is None:
        return None
    address = cells[source.header.address_at]
    try:
        normalised = normalise(address)
    except InvalidAddress:
        result.refuse(row, DIGEST_OF_ADDRESS if is_digest(address) else INVALID_ADDRESS, source.header.names[source.header.address_at])
        return None
    fields = {name: cell for place, name in columns if place < len(cells) and (cell := cells[place])}
    for name, cell in fields.items():
        if "\0" in cell:
            result.refuse(row, CONTROL_CHARACTER, name)
            return None
    address_key = source.index.key_of(normalised)
    return Candidate(row, address_key, document_id(source.tenant_id, address_key), normalised, fields)


def cells_of(header: Header, row: Row, result: Result) -> list[str] | None:
    """The row's cells, trimmed, where it has one in the place of the address."""
    names, at = header.names, header.address_at
    if row.reason:
        result.refuse(row, row.reason)
        return None
    if len(row.cells) > len(names) and any(row.cells[len(names) :]):
        result.refuse(row, TOO_MANY_CELLS)
        return None
    cells = [cell.strip() for cell in row.cells]
    if at >= len(cells) or not cells[at]:
        result.refuse(row, NO_ADDRESS, names[at])
        return None
    return cells


def person_document(source: ImportSource, candidate: Candidate, keys: Keys) -> Document:
    """A new person. `made_by`: which row made them."""
    address_key = candidate.address_key
    return {
        "_id": candidate.name,
        "subscriber_id": subscriber_id(address_key, keys.generation),
        "profile": seal(keys.profile, pack_profile(candidate.address, candidate.fields), source.wrapping.place(address_key, PROFILE)),
        "list_ids": [source.list_id],
        "created_us": source.now_us,
        "updated_us": source.now_us,
        "revision": 1,
        "made_by": made_by(source, candidate.row),
    }


def member_document(source: ImportSource, candidate: Candidate, keys: Keys) -> Document:
    """Their copy on the list."""
    address_key = candidate.address_key
    people = source.encode(address_key, subscriber_id(address_key, keys.generation), candidate.address, candidate.fields)
    partition = source.placement.partition(source.tenant_id, address_key)
    return to_member(source.list_id, partition, address_key, edition_of(keys.generation, 1), people, source.wrapping)


def made_by(source: ImportSource, row: Row) -> str:
    return f"{source.import_id}/{row.number}"


async def store_new(rooms: Rooms, source: ImportSource, candidates: Sequence[Candidate]) -> tuple[dict[bytes, Keys], list[Candidate]]:
    """Stores those who are new: (their keys by address key, the candidates who have keys or a document already)."""
    keys: dict[bytes, Keys] = {}
    known = await rooms.person_keys.insert(_fresh_keys(source, candidates, keys))
    new = [candidate for candidate in candidates if candidate.name not in known] if known else candidates
    await rooms.members.insert(member_document(source, candidate, keys[candidate.address_key]) for candidate in new)
    known |= await rooms.people.insert(person_document(source, candidate, keys[candidate.address_key]) for candidate in new)
    if not known:
        return keys, []
    there = [candidate for candidate in candidates if candidate.name in known]
    for candidate in there:
        del keys[candidate.address_key]
    return keys, there


def _fresh_keys(source: ImportSource, candidates: Sequence[Candidate], keys: dict[bytes, Keys]) -> Iterator[Document]:
    """The documents of new keys, which are put into `keys` as well."""
    for start in range(0, len(candidates), AT_ONCE):
        turn = candidates[start : start + AT_ONCE]
        drawn = os.urandom(KEYS_BYTES * len(turn))  # in one call of the system: each gives the GIL away
        for candidate, at in zip(turn, range(0, len(drawn), KEYS_BYTES), strict=True):
            random = drawn[at : at + KEYS_BYTES]
            keys[candidate.address_key], document = source.wrapping.fresh(candidate.name, candidate.address_key, random)
            yield document
