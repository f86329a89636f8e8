"""What every bus keeps to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

import pytest

from postlaw_common.bus import Bus, BusUnavailable, Received, Record, Topic, TopicMismatch
from postlaw_common.testing.patience import patience

NewBus = Callable[[], Awaitable[Bus]]


class Reads(Protocol):
    async def read(self, *, max_records: int = 500, timeout: float = 1.0) -> list[Received]: ...


def record(topic: str, partition: int, value: str) -> Record:
    return Record(topic, partition, value.encode())


async def read_until(reader: Reads, count: int) -> list[Received]:
    """Reads on until there are that many; a bus that loses some fails by the deadline."""
    found: list[Received] = []
    async with patience():
        while len(found) < count:
            found += await reader.read(timeout=0.5)
    return found


async def test_offsets_grow_from_zero_within_each_partition_and_come_in_the_order_given(bus: Bus, topic: str) -> None:
    assert await bus.publish([record(topic, 0, "a"), record(topic, 1, "b"), record(topic, 0, "c")]) == [0, 0, 1]
    assert await bus.publish([record(topic, 0, "d")]) == [2]
    assert await bus.publish([]) == []


async def test_a_record_is_read_as_it_was_published(bus: Bus, topic: str) -> None:
    before_us = time.time_ns() // 1000
    headers = {"ce_id": b"1", "ce_type": bytes(range(256))}
    await bus.publish([Record(topic, 2, b"\x00value", key=b"\xffkey", headers=headers), Record(topic, 2, b"", key=None)])
    reader = await bus.reader()
    await reader.assign({(topic, 2): 0})
    first, second = await read_until(reader, 2)
    assert (first.topic, first.partition, first.offset, first.value, first.key) == (topic, 2, 0, b"\x00value", b"\xffkey")
    assert dict(first.headers) == headers
    assert before_us - 1000 <= first.timestamp_us <= time.time_ns() // 1000 + 1000
    assert (second.offset, second.value, second.key, dict(second.headers)) == (1, b"", None, {})
    await reader.close()


async def test_a_record_of_a_megabyte_is_carried_whole(bus: Bus, topic: str) -> None:
    value = bytes(range(256)) * 4096
    await bus.publish([Record(topic, 0, value)])
    assert [r.value for r in await bus.read_range(topic, 0, 0, 1)] == [value]


async def test_a_reader_begins_at_the_offsets_it_was_given(bus: Bus, topic: str) -> None:
    await bus.publish([record(topic, partition, f"{partition}/{n}") for n in range(5) for partition in (0, 1)])
    reader = await bus.reader()
    await reader.assign({(topic, 0): 3, (topic, 1): 5})
    await bus.publish([record(topic, 1, "1/5")])
    found = await read_until(reader, 3)
    assert [r.value for r in found if r.partition == 0] == [b"0/3", b"0/4"]
    assert [r.value for r in found if r.partition == 1] == [b"1/5"]
    await reader.close()


async def test_a_new_assignment_replaces_every_position_also_of_a_partition_that_stays(bus: Bus, topic: str) -> None:
    await bus.publish([record(topic, partition, f"{partition}/{n}") for n in range(3) for partition in range(3)])
    reader = await bus.reader()
    await reader.assign({(topic, 0): 0, (topic, 1): 0})
    await read_until(reader, 6)
    await reader.assign({(topic, 1): 1, (topic, 2): 2})
    found = await read_until(reader, 3)
    assert sorted(r.value for r in found) == [b"1/1", b"1/2", b"2/2"]
    assert await reader.read(timeout=0.2) == []
    await reader.close()


async def test_a_waiting_reader_gets_what_is_published_while_it_waits(bus: Bus, topic: str) -> None:
    reader = await bus.reader()
    await reader.assign({(topic, partition): 0 for partition in range(4)})
    assert await reader.read(timeout=0.05) == []
    waiting = asyncio.create_task(read_until(reader, 1))
    await asyncio.sleep(0.05)
    await bus.publish([record(topic, 3, "late")])
    assert [r.value for r in await waiting] == [b"late"]
    await reader.close()


async def test_a_reader_takes_no_more_than_it_asked_for_and_skips_nothing(bus: Bus, topic: str) -> None:
    await bus.publish([record(topic, n % 4, str(n)) for n in range(100)])
    reader = await bus.reader()
    await reader.assign({(topic, partition): 0 for partition in range(4)})
    found: list[Received] = []
    async with patience():
        while len(found) < 100:
            part = await reader.read(max_records=7, timeout=0.5)
            assert len(part) <= 7
            found += part
    for partition in range(4):
        assert [r.value for r in found if r.partition == partition] == [str(n).encode() for n in range(partition, 100, 4)]
    await reader.close()


async def test_one_topic_is_read_alone_and_what_has_come_of_another_is_kept(bus: Bus, topic: str) -> None:
    other = f"{topic}-other"
    await bus.ensure_topics([Topic(other)])
    await bus.publish([record(topic, n % 2, f"{n}") for n in range(10)])
    reader = await bus.reader()
    await reader.assign({(name, partition): 0 for name in (topic, other) for partition in range(2)})
    assert await reader.read(timeout=0.7, topic=other) == []
    await bus.publish([record(other, 1, "of the other")])
    found: list[Received] = []
    async with patience():
        while not found:
            found = await reader.read(timeout=0, topic=other)
    assert [(r.topic, r.value) for r in found] == [(other, b"of the other")]
    rest = await read_until(reader, 10)
    assert sorted(int(r.value) for r in rest) == list(range(10))
    await reader.close()


async def test_concurrent_publishers_keep_each_its_own_order_and_share_no_offset(bus: Bus, topic: str) -> None:
    async def publish(publisher: int) -> list[int]:
        offsets: list[int] = []
        for n in range(10):
            offsets += await bus.publish([record(topic, 0, f"{publisher}/{n}/a"), record(topic, 0, f"{publisher}/{n}/b")])
        return offsets

    offsets = await asyncio.gather(*(publish(publisher) for publisher in range(20)))
    assert sorted(offset for part in offsets for offset in part) == list(range(400))
    found = await bus.read_range(topic, 0, 0, 400)
    assert [r.offset for r in found] == list(range(400))
    for publisher in range(20):
        mine = [r.value.decode() for r in found if r.value.decode().startswith(f"{publisher}/")]
        assert mine == [f"{publisher}/{n}/{half}" for n in range(10) for half in "ab"]
        assert [found[offset].value.decode() for offset in offsets[publisher]] == mine


async def test_the_end_offset_counts_a_record_from_the_moment_it_is_acknowledged(bus: Bus, topic: str) -> None:
    ends = await bus.end_offset_client()
    reader = await bus.reader()
    await reader.assign({(topic, 0): 0})
    polling = asyncio.create_task(reader.read(timeout=3))  # a long poll must not make the answer old
    assert await ends.end_offsets([(topic, 0), (topic, 1)]) == {(topic, 0): 0, (topic, 1): 0}
    for n in range(1, 20):
        await bus.publish([record(topic, 1, str(n))])
        assert await ends.end_offsets([(topic, 1)]) == {(topic, 1): n}
    await bus.publish([record(topic, 0, "end")])
    await polling
    await reader.close()
    await ends.close()


async def test_the_ends_of_many_topics_are_told_in_one_answer_from_the_first_question_on(bus: Bus, topic: str) -> None:
    """The audit log asks for all there are; with each new one it came nearer to the time after which a bus counts as gone."""
    topics = [f"{topic}.{number}" for number in range(20)]
    await bus.ensure_topics([Topic(name, partitions=1) for name in topics])
    ends = await bus.end_offset_client()
    assert await ends.end_offsets([(name, 0) for name in topics]) == {(name, 0): 0 for name in topics}
    await ends.close()


async def test_a_short_look_back_gives_exactly_that_range(bus: Bus, topic: str) -> None:
    await bus.publish([record(topic, 0, str(n)) for n in range(10)])
    assert [r.value for r in await bus.read_range(topic, 0, 3, 6)] == [b"3", b"4", b"5"]
    assert [r.offset for r in await bus.read_range(topic, 0, 8, 99)] == [8, 9]
    assert await bus.read_range(topic, 0, 5, 5) == []
    assert await bus.read_range(topic, 1, 0, 5) == []


async def test_records_and_offsets_are_there_after_a_restart(bus: Bus, new_bus: NewBus, topic: str) -> None:
    await bus.publish([record(topic, 0, str(n)) for n in range(3)])
    await bus.close()
    again = await new_bus()
    await again.ensure_topics([Topic(topic)])
    assert await again.publish([record(topic, 0, "3")]) == [3]
    assert [r.value for r in await again.read_range(topic, 0, 0, 9)] == [b"0", b"1", b"2", b"3"]


async def test_a_topic_is_made_once_and_checked_ever_after(bus: Bus, topic: str) -> None:
    await bus.publish([record(topic, 3, "kept")])
    await bus.ensure_topics([Topic(topic), Topic(f"{topic}.wide", partitions=6)])
    assert await bus.publish([record(f"{topic}.wide", 5, "x")]) == [0]
    assert [r.value for r in await bus.read_range(topic, 3, 0, 1)] == [b"kept"]
    with pytest.raises(TopicMismatch, match=rf"{topic} has 4 partitions.* needs 7"):
        await bus.ensure_topics([Topic(topic, partitions=7)])


async def test_a_record_for_a_partition_that_is_not_there_is_refused(bus: Bus, topic: str) -> None:
    with pytest.raises(KeyError):
        await bus.publish([record(topic, 4, "x")])
    assert await bus.publish([record(topic, 0, "first")]) == [0]


async def test_a_position_behind_the_end_is_an_error_not_a_silent_wait(bus: Bus, topic: str) -> None:
    await bus.publish([record(topic, 0, "only")])
    reader = await bus.reader()
    with pytest.raises(BusUnavailable):
        await reader.assign({(topic, 0): 5})
        await read_until(reader, 1)
    await reader.close()


async def test_members_of_a_group_share_the_partitions_and_each_record_reaches_one(bus: Bus, topic: str) -> None:
    members = [await bus.group(f"{topic}-g", [topic]) for _ in range(2)]
    found: list[list[Received]] = [[], []]

    published: set[tuple[int, int]] = set()

    def reached() -> set[tuple[int, int]]:
        return {(r.partition, r.offset) for part in found for r in part}

    publishing = True

    async def take(member: int) -> None:
        while publishing or not published <= reached():  # a record may be reached before its publisher knows where it stands
            records = await members[member].read(timeout=0.2)
            found[member] += records
            await members[member].commit(records)

    takers = [asyncio.create_task(take(member)) for member in range(2)]
    async with asyncio.timeout(60):
        while not all(found):  # the first to come may hold every partition until the other's arrival is known
            offsets = await bus.publish([record(topic, partition, "x") for partition in range(4)])
            published |= set(enumerate(offsets))
            await asyncio.sleep(0.02)
        publishing = False
        await asyncio.gather(*takers)
    assert reached() == published
    for member in members:
        await member.close()


async def test_a_group_goes_on_after_what_it_committed_and_repeats_what_it_did_not(bus: Bus, topic: str) -> None:
    await bus.publish([record(topic, 0, str(n)) for n in range(6)])
    member = await bus.group(f"{topic}-g", [topic])
    found = await read_until(member, 6)
    await member.commit(found[:4])
    await member.close()
    member = await bus.group(f"{topic}-g", [topic])
    assert [r.value for r in await read_until(member, 2)] == [b"4", b"5"]
    await member.close()


async def test_groups_do_not_take_from_each_other(bus: Bus, topic: str) -> None:
    await bus.publish([record(topic, 0, "x")])
    for name in ("g1", "g2"):
        member = await bus.group(f"{topic}-{name}", [topic])
        found = await read_until(member, 1)
        await member.commit(found)
        await member.close()
        assert [r.value for r in found] == [b"x"]


async def test_who_stays_in_a_group_takes_over_from_who_leaves(bus: Bus, topic: str) -> None:
    stays, leaves = await bus.group(f"{topic}-g", [topic]), await bus.group(f"{topic}-g", [topic])
    await asyncio.gather(stays.read(timeout=0.5), leaves.read(timeout=0.5))
    await leaves.close()
    await bus.publish([record(topic, partition, str(partition)) for partition in range(4)])
    assert {r.partition for r in await read_until(stays, 4)} == {0, 1, 2, 3}
    await stays.close()


async def test_what_a_group_committed_outlives_a_restart(bus: Bus, new_bus: NewBus, topic: str) -> None:
    await bus.publish([record(topic, 1, str(n)) for n in range(3)])
    member = await bus.group(f"{topic}-g", [topic])
    await member.commit((await read_until(member, 3))[:2])
    await member.close()
    await bus.close()
    again = await new_bus()
    member = await again.group(f"{topic}-g", [topic])
    assert [r.value for r in await read_until(member, 1)] == [b"2"]
    await member.close()


async def test_a_closed_bus_says_so(bus: Bus, topic: str) -> None:
    await bus.close()
    with pytest.raises(BusUnavailable):
        await bus.publish([record(topic, 0, "x")])
    await bus.close()
