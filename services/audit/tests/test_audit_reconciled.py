"""The log held against the bus: whatever was entered otherwise, left out, or never entered is named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from postlaw_audit.reconciling import LogChecks
from postlaw_common.bus import Received
from postlaw_common.bus.generation import Generations
from postlaw_common.events import new_event, to_record
from postlaw_common.reconciling import Difference
from postlaw_common.testing.promises import promise
from services.audit.tests.installation import TOPICS, Installation, running


def checks(there: Installation) -> LogChecks:
    return LogChecks(there.reader, there.bus, there.states("reading").read, lambda: 1 << 60)


async def found(there: Installation, cursor: str = "") -> list[Difference]:
    return [one async for step in checks(there).events_against_entries(cursor) for one in step.differences]


@promise("S8", "A1")
async def test_a_whole_log_is_what_stands_on_the_bus_and_a_look_goes_on_where_it_was(there: Installation) -> None:
    large = new_event("x", b"l" * 150_000, source="consent", subject="large", sequence=1, tenant_id="ten_1")
    await there.publish(300)
    await there.bus.publish([to_record(large, TOPICS[0], 1)])  # three entries
    async with running(there.writer("one")):
        await there.reaches(303)
    steps = [step async for step in checks(there).events_against_entries("")]
    assert [(step.looked_at, list(step.differences)) for step in steps] == [(256, []), (47, [])]
    assert [step.looked_at async for step in checks(there).events_against_entries(steps[0].cursor)] == [47]


@promise("S8")
async def test_a_look_that_goes_on_within_an_event_of_several_entries_raises_no_alarm(there: Installation) -> None:
    large = new_event("x", b"l" * 150_000, source="consent", subject="large", sequence=1, tenant_id="ten_1")
    async with running(there.writer("one")):
        await there.publish(255)
        await there.reaches(255)
        await there.bus.publish([to_record(large, TOPICS[0], 1)])  # its first entry is the first bundle's last one
        await there.reaches(258)
    first, *_ = [step async for step in checks(there).events_against_entries("")]
    assert await found(there, first.cursor) == []


@promise("S8", "A1")
async def test_an_entry_that_is_not_what_happened_is_named_and_so_is_an_event_without_one(
    there: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await there.publish(8)
    async with running(there.writer("one")):
        await there.reaches(8)
    read = there.bus.read_range

    async def otherwise(topic: str, partition: int, start: int, end: int) -> list[Received]:
        """The bus, had the log's writer lied about one record and left out another one."""
        records = await read(topic, partition, start, end)
        if (topic, partition) == (TOPICS[0], 0):
            return [records[0], records[1]._replace(value=b"what happened")]
        return [records[0], records[0]._replace(offset=5), *records[1:]] if partition == 1 else records

    monkeypatch.setattr(there.bus, "read_range", otherwise)
    lie, left_out = sorted(await found(there), key=lambda one: one.what)
    assert lie.what == "an entry that is not what stands on the bus"
    assert lie.ids[0] in ids
    assert lie.ids[2] == f"{TOPICS[0]}/0@1"
    assert (left_out.what, left_out.ids[1]) == ("an event that the log lacks", f"{TOPICS[1]}/1@5")


@promise("S8", "A1")
async def test_what_a_restore_set_back_is_not_held_against_what_stands_there_now(there: Installation) -> None:
    async with running(there.writer("one")):
        await there.publish(300)
        await there.reaches(300)
    await there.set_back(None)
    async with running(there.writer("one")):
        later = [new_event("x", b"after it", source="consent", subject="s", sequence=0, tenant_id="ten_1") for _ in range(20)]
        await there.bus.publish([to_record(event, TOPICS[n % 2], n % 4) for n, event in enumerate(later)])
        await there.reaches(321)
    assert await found(there) == []


@promise("S8", "A1")
async def test_events_that_no_writer_takes_are_named_once_they_are_old_enough(there: Installation) -> None:
    await there.publish(8)
    async with running(there.writer("one")):
        await there.reaches(8)
    assert [one async for step in checks(there).left_out("") for one in step.differences] == []
    [waiting, *_] = await there.publish(1)
    [step] = [step async for step in checks(there).left_out("")]
    assert [(one.what, one.ids[0], one.ids[-1]) for one in step.differences] == [("an event that the log lacks", waiting, "1 records wait")]
    young = LogChecks(there.reader, there.bus, there.states("reading").read, lambda: 0)
    assert [one async for step in young.left_out("") for one in step.differences] == []


@promise("S8", "A1")
async def test_a_version_of_a_person_that_never_came_is_named(there: Installation) -> None:
    for version in (1, 2, 2, 4):
        event = new_event("x", b"%d" % version, source="consent", subject="ten_1/person", sequence=version, tenant_id="ten_1")
        await there.bus.publish([to_record(event, "postlaw.consent.events.v1", 1)])
    async with running(there.writer("one")):
        await there.reaches(4)
    [gap] = await found(there)
    assert (gap.what, gap.ids[1:], gap.tenant_id) == ("an aggregate without its event 3", ("entry 3", "ten_1/person"), "ten_1")


@promise("S8", "A1")
async def test_a_log_that_begins_behind_an_event_or_has_none_of_a_partition_is_told_apart_from_a_whole_one(there: Installation) -> None:
    ids = await there.publish(16)  # of the first topic partitions 0 and 2 have four each, of the second 1 and 3
    states = there.states("before")
    state = await states.try_to_own()
    assert state is not None
    await states.let_go(replace(state, offsets={TOPICS[0]: [1, 0, 4, 0], TOPICS[1]: [0, 0, 0, 0]}))
    async with running(there.writer("one")):
        await there.reaches(11)
    named = [(one.ids[0], one.ids[1]) for one in await found(there)]
    wanted = [(ids[0], 0, 0), *((id, 2, offset) for offset, id in enumerate(ids[2::4]))]
    assert named == [(id, f"{TOPICS[0]}/{partition}@{offset}") for id, partition, offset in wanted]


@promise("S8", "A1")
async def test_what_stood_before_a_generation_that_was_raised_is_no_difference(there: Installation) -> None:
    await there.publish(16)
    async with running(there.writer("one")):
        await there.reaches(16)
    generations = Generations(there.bus)
    await generations.raise_(TOPICS)
    await generations.close()
    async with running(there.writer("two")):
        await there.publish(16)
        await there.reaches(33)
    assert await found(there) == []
