from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from postlaw_common import dlq
from postlaw_common.bus import Bus, Received, Record, Topic, open_bus
from postlaw_common.consumers import Consumer, already_applied, mark_applied
from postlaw_common.events import Event
from postlaw_common.lanes import Retries
from postlaw_common.store import StoreUnavailable
from postlaw_common.testing.patience import patience
from postlaw_common.testing.promises import promise

TOPIC = "postlaw.test.events.v1"
QUICK = Retries(tries=3, first_delay_s=0.001, longest_delay_s=0.005)


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[Bus]:
    bus = open_bus("embedded:", state=str(tmp_path), partitions=4)
    await bus.start()
    await bus.ensure_topics([Topic(TOPIC)])
    yield bus
    await bus.close()


async def publish(bus: Bus, *values: tuple[int, str]) -> None:
    await bus.publish([Record(TOPIC, partition, value.encode()) for partition, value in values])


async def until(condition: Callable[[], bool]) -> None:
    async with patience():
        while not condition():
            await asyncio.sleep(0.002)


class Handled:
    """Notes what it was given, unless it is told to fail on it."""

    def __init__(self, bad: Sequence[str] = (), failure: Exception | None = None) -> None:
        self.bad = set(bad)
        self.failure = failure or ValueError("Ada Lovelace")
        self.values: dict[int, list[str]] = {}
        self.calls: list[list[str]] = []

    async def __call__(self, records: list[Received]) -> None:
        self.calls.append([record.value.decode() for record in records])
        if self.bad & {record.value.decode() for record in records}:
            raise self.failure
        for record in records:
            self.values.setdefault(record.partition, []).append(record.value.decode())


async def running(bus: Bus, handled: Callable[[list[Received]], Awaitable[None]], *, halt: bool = False, group: str = "test") -> Consumer:
    consumer = Consumer(group, [TOPIC], handled, retries=QUICK, halt_on_failure=halt)
    await consumer.start(bus)
    return consumer


async def letters(bus: Bus) -> list[Received]:
    return [letter for p in range(4) for letter in await bus.read_range(TOPIC + ".dlq", p, 0, 1000)]


async def test_records_come_in_order_within_a_partition_and_once_after_an_orderly_stop(bus: Bus):
    handled = Handled()
    consumer = await running(bus, handled)
    await publish(bus, *[(n % 4, str(n)) for n in range(100)])
    await until(lambda: sum(map(len, handled.values.values())) == 100)
    await consumer.stop()
    again = await running(bus, handled)
    await publish(bus, (0, "last"))
    await until(lambda: "last" in handled.values[0])
    await again.stop()
    assert handled.values[0] == [str(n) for n in range(0, 100, 4)] + ["last"]
    assert sum(map(len, handled.values.values())) == 101


@promise("S8")
@pytest.mark.parametrize("bad", [0, 5, 19])
async def test_a_record_that_keeps_failing_is_parked_with_its_reason_and_frees_the_partition(bus: Bus, bad: int):
    handled = Handled(bad=[str(bad)])
    await publish(bus, *[(1, str(n)) for n in range(20)], *[(2, f"other {n}") for n in range(20)])
    consumer = await running(bus, handled)
    await until(lambda: len(handled.values.get(1, [])) >= 19 and not consumer.lanes)
    await publish(bus, (1, "after"))
    await until(lambda: "after" in handled.values[1])
    await consumer.stop()
    assert handled.values[1] == [str(n) for n in range(20) if n != bad] + ["after"]
    assert handled.values[2] == [f"other {n}" for n in range(20)]
    (letter,) = await letters(bus)
    shown = {name: value.decode() for name, value in letter.headers.items()}
    assert letter.value == str(bad).encode()
    assert (shown[dlq.TOPIC], shown[dlq.PARTITION], shown[dlq.OFFSET]) == (TOPIC, "1", str(bad))
    assert (shown[dlq.ATTEMPTS], shown[dlq.CONSUMER]) == ("3", "test")
    assert shown[dlq.REASON].startswith("ValueError (at ")  # the failure's own text may quote the record
    assert handled.calls.count([str(bad)]) >= QUICK.tries


async def test_a_partition_halts_rather_than_skips_where_that_is_asked_for_and_goes_on_once_healed(bus: Bus):
    handled = Handled(bad=["1"])
    await publish(bus, (0, "0"), (0, "1"), (0, "2"), (3, "other"))
    consumer = await running(bus, handled, halt=True)
    await until(lambda: consumer.halted == [(TOPIC, 0)])
    await publish(bus, (0, "3"), (3, "goes on"))
    await until(lambda: handled.values.get(3) == ["other", "goes on"])
    assert handled.values[0] == ["0"]
    handled.bad.clear()
    await until(lambda: handled.values[0] == ["0", "1", "2", "3"])
    await consumer.stop()
    assert consumer.halted == []


async def test_a_halted_partition_begins_with_the_failing_record_after_a_restart(bus: Bus):
    handled = Handled(bad=["1"])
    await publish(bus, (0, "0"), (0, "1"), (0, "2"))
    consumer = await running(bus, handled, halt=True)
    await until(lambda: consumer.halted == [(TOPIC, 0)])
    await consumer.stop()
    healed = Handled()
    consumer = await running(bus, healed, halt=True)
    await until(lambda: len(healed.values.get(0, [])) == 2)
    await consumer.stop()
    assert healed.values[0] == ["1", "2"]


async def test_an_outage_parks_nothing_however_long_it_lasts(bus: Bus):
    handled = Handled(bad=["1"], failure=StoreUnavailable("away"))
    consumer = await running(bus, handled)
    await publish(bus, (0, "0"), (0, "1"))
    await until(lambda: sum("1" in call for call in handled.calls) > 3 * QUICK.tries)
    assert not consumer.lanes  # no record's fault: the whole batch waits
    handled.bad.clear()
    await until(lambda: handled.values.get(0, [])[-1:] == ["1"])
    await consumer.stop()
    assert await letters(bus) == []


async def test_an_outage_while_a_partition_goes_on_record_by_record_parks_nothing_either(bus: Bus):
    handled, tries = Handled(bad=["1"]), 30
    consumer = Consumer("test", [TOPIC], handled, retries=Retries(tries, first_delay_s=0.001, longest_delay_s=0.001))
    await consumer.start(bus)
    await publish(bus, (0, "1"))
    await until(lambda: bool(consumer.lanes))
    handled.failure = StoreUnavailable("away")
    await until(lambda: len(handled.calls) > 2 * tries)
    assert await letters(bus) == []
    await consumer.stop()


async def test_a_stop_in_the_middle_of_a_batch_waits_for_the_handler_and_commits_it(bus: Bus):
    entered, leave = asyncio.Event(), asyncio.Event()
    handled = Handled()

    async def slow(records: list[Received]) -> None:
        entered.set()
        await leave.wait()
        await handled(records)

    consumer = await running(bus, slow)
    await publish(bus, (0, "0"))
    await entered.wait()
    stopping = asyncio.create_task(consumer.stop())
    await asyncio.sleep(0)
    assert not stopping.done()
    leave.set()
    await stopping
    assert handled.values[0] == ["0"]
    again = await running(bus, handled)
    await publish(bus, (0, "1"))
    await until(lambda: len(handled.values[0]) == 2)
    await again.stop()
    assert handled.values[0] == ["0", "1"]


async def test_a_replayed_record_is_taken_only_by_the_consumer_that_had_failed(bus: Bus):
    failing, other = Handled(bad=["bad"]), Handled()
    first, second = await running(bus, failing, group="failing"), await running(bus, other, group="other")
    await publish(bus, (0, "bad"))
    async with patience():
        while not (parked := await letters(bus)):
            await asyncio.sleep(0.002)
    failing.bad.clear()
    await bus.publish([dlq.replayed(parked[0])])
    await publish(bus, (0, "next"))
    await until(lambda: failing.values.get(0, [])[-1:] == ["next"] and other.values.get(0, [])[-1:] == ["next"])
    await asyncio.gather(first.stop(), second.stop())
    assert failing.values[0] == ["bad", "next"]
    assert other.values[0] == ["bad", "next"]


def test_an_event_that_a_document_has_taken_before_is_known_again():
    def event(sequence: int, subject: str = "cmp_1") -> Event:
        return Event("evt_1", "t", "sending", subject, sequence, "ten_1", 0, b"")

    document = mark_applied({"_id": "x"}, event(3))
    assert already_applied(document, event(3))
    assert already_applied(document, event(2))
    assert not already_applied(document, event(4))
    assert not already_applied(document, event(1, "cmp_2"))
    assert not already_applied(None, event(1))
    assert not already_applied(mark_applied(document, event(0)), event(0))
