"""Rows of people who are there already: from before, from an earlier row of this file, or from this very row before a crash."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from postlaw_common.crypto import SealBroken
from postlaw_common.errors import Unavailable
from postlaw_common.foreground import step_aside
from postlaw_common.store import AlreadyExists, Document, VersionConflict
from postlaw_subscribers.domain.import_job import DUPLICATE_IN_FILE, Outcome
from postlaw_subscribers.domain.person import Person, Profile
from postlaw_subscribers.people import from_document, is_gone
from postlaw_subscribers.person_keys import Keys
from postlaw_subscribers.rooms import Rooms
from postlaw_subscribers.use_cases.import_batch import Candidate, ImportSource, Result, made_by, member_document, person_document
from postlaw_subscribers.use_cases.put_subscriber import change, keep_in_step
from postlaw_subscribers.use_cases.remove_person import clear_away

_TOGETHER = 200  # gets in one call of the store
_WRITES = 50  # people changed at the same time, so that the store gathers their writes


@dataclass(frozen=True, slots=True)
class _Known:
    candidate: Candidate
    keys: Keys
    document: Document


async def take_known(rooms: Rooms, source: ImportSource, candidates: Sequence[Candidate], result: Result) -> dict[bytes, Keys]:
    """Counts them in `result`; returns the keys of those who are taken."""
    taken: dict[bytes, Keys] = {}
    for start in range(0, len(candidates), _TOGETHER):
        part = candidates[start : start + _TOGETHER]
        keys = await _keys(rooms, source, part)
        documents = await rooms.people.documents.get_many([each.name for each in part])
        earlier: list[_Known] = []
        for candidate in part:
            document = documents.get(candidate.name)
            known_keys = keys[candidate.address_key]
            if document is None or is_gone(document):
                document = await _make(rooms, source, candidate, known_keys, document)
            origin = str(document.get("made_by", ""))
            if origin == made_by(source, candidate.row):
                # This very row made the person, before a crash perhaps: their copy may be missing.
                await rooms.members.insert([member_document(source, candidate, known_keys)])
                result.took(Outcome.ADDED)
                taken[candidate.address_key] = known_keys
            elif origin.startswith(source.import_id + "/"):
                result.refuse(candidate.row, DUPLICATE_IN_FILE, source.header.names[source.header.address_at])
            else:
                earlier.append(_Known(candidate, known_keys, document))
        if earlier:
            await _take_earlier(rooms, source, earlier, result, taken)
        await step_aside()
    return taken


async def _keys(rooms: Rooms, source: ImportSource, part: Sequence[Candidate]) -> dict[bytes, Keys]:
    keys = await rooms.person_keys.open_many(source.wrapping, [candidate.address_key for candidate in part])
    for candidate in part:
        if candidate.address_key not in keys:
            keys[candidate.address_key] = await rooms.person_keys.ensure(source.wrapping, candidate.address_key)
    return keys


async def _make(rooms: Rooms, source: ImportSource, candidate: Candidate, keys: Keys, gone: Document | None) -> Document:
    """The person under keys that were there without one: of consent recorded earlier, or of somebody who was deleted."""
    if gone is not None:
        await clear_away(rooms, gone)
        keys = await rooms.person_keys.ensure(source.wrapping, candidate.address_key)
    person = person_document(source, candidate, keys)
    try:
        await rooms.members.insert([member_document(source, candidate, keys)])
        await rooms.people.documents.insert(person)
    except AlreadyExists:
        there = await rooms.people.by_key(source.tenant_id, candidate.address_key)
        if there is not None and not is_gone(there):
            return there
        raise
    return person


async def _take_earlier(rooms: Rooms, source: ImportSource, known: Sequence[_Known], result: Result, taken: dict[bytes, Keys]) -> None:
    """People from before this import. What becomes of each is noted first, so that a repetition and a second row tell themselves apart."""
    outcomes = {each.candidate.address_key: _outcome(source, each.candidate, await _opened(rooms, source, each)) for each in known}
    marks = {each.candidate.address_key: (each.candidate.row.number, outcomes[each.candidate.address_key].value) for each in known}
    noted = await rooms.jobs.mark_rows(source.import_id, marks)
    to_change: list[_Known] = []
    for each in known:
        address_key = each.candidate.address_key
        row, outcome = noted.get(address_key, marks[address_key])
        if row != each.candidate.row.number:
            result.refuse(each.candidate.row, DUPLICATE_IN_FILE, source.header.names[source.header.address_at])
            continue
        result.took(Outcome(outcome))
        taken[address_key] = each.keys
        if outcome == Outcome.UPDATED.value:
            to_change.append(each)
    repeated = frozenset(noted)
    for start in range(0, len(to_change), _WRITES):
        together = to_change[start : start + _WRITES]
        await asyncio.gather(*(_change(rooms, source, each, each.candidate.address_key in repeated) for each in together))


async def _opened(rooms: Rooms, source: ImportSource, known: _Known) -> Person:
    """Raises Unavailable where keys and document are of two people, who came and went between the two reads: the batch is then taken
    again, as after an outage. Raises SealBroken where it cannot be opened at all."""
    try:
        return from_document(known.document, known.keys)
    except SealBroken:
        address_key = known.candidate.address_key
        document = await rooms.people.by_key(source.tenant_id, address_key)
        keys = await rooms.person_keys.open_many(source.wrapping, [address_key])
        if document == known.document and keys.get(address_key) == known.keys:
            raise
        raise Unavailable("A person was removed and added while their row was taken. It is taken again.") from None


def _outcome(source: ImportSource, candidate: Candidate, person: Person) -> Outcome:
    profile, lists = _wanted(source, candidate, person)
    return Outcome.UNCHANGED if (profile, lists) == (person.profile, person.list_ids) else Outcome.UPDATED


def _wanted(source: ImportSource, candidate: Candidate, person: Person) -> tuple[Profile, tuple[str, ...]]:
    """The file's cells over what is known; a cell that is empty or missing takes nothing away, nor does an import end a membership."""
    profile = Profile(candidate.address, {**person.profile.fields, **candidate.fields})
    return profile, tuple(sorted({*person.list_ids, source.list_id}))


async def _change(rooms: Rooms, source: ImportSource, known: _Known, repeated: bool) -> None:
    """`repeated`: a crash may have come between the person's document and its copies."""
    document: Document | None = known.document
    while document is not None and not is_gone(document):
        profile, lists = _wanted(source, known.candidate, await _opened(rooms, source, replace(known, document=document)))
        try:
            await change(rooms, document, profile, lists, announce=False)
        except VersionConflict:
            document = await rooms.people.by_key(source.tenant_id, known.candidate.address_key)
            continue
        if repeated:
            await keep_in_step(rooms, document, known.keys)
        return
