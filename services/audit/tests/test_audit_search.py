"""Search: what was logged is found by whom and what it is about, by its own customer alone, and again after the projection was dropped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import pytest

from postlaw.consent.v1 import consent_pb2 as consent
from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_audit.notes import Checkpoint
from postlaw_audit.search import indexing
from postlaw_audit.search.indexing import CALM, CALM_LOOKS, Indexer
from postlaw_audit.search.searching import Question, Search
from postlaw_audit.search.spans import ROWS, SPANS, Spans
from postlaw_common.caller import Actor, Caller, Origin, acting_as
from postlaw_common.errors import Unavailable
from postlaw_common.events import new_event, to_record
from postlaw_common.testing.promises import promise
from services.audit.tests.installation import TOPICS, Installation, running

ANN, BEN = b"\1" + b"a" * 32, b"\1" + b"b" * 32
SETTLED, GIVEN = "postlaw.sending.BatchSettled", "postlaw.consent.ConsentEvent"


def batch(campaign_id: str, *people: bytes) -> bytes:
    ids = [f"sub_{chr(key[-1])}" for key in people]
    return sending.BatchSettled(
        campaign_id=campaign_id, address_keys=people, subscriber_ids=ids, states=b"\2" * len(people)
    ).SerializeToString()


def given(person: bytes) -> bytes:
    return consent.ConsentEvent(address_key=person, kind=consent.ConsentEvent.KIND_GIVEN).SerializeToString()


class Log:
    """A log that nobody follows but who asks."""

    def __init__(self, there: Installation, *, rows_a_span: int = 16) -> None:
        self.there = there
        self.spans = Spans(lambda: there.store.collection(SPANS.name), lambda: there.store.collection(ROWS.name))
        self.indexer = Indexer(there.reader, self.spans, rows_a_span=rows_a_span)
        self.search = Search(there.reader, self.indexer)
        self.size = 0

    async def add(
        self, type: str, data: bytes, *, subject: str = "s", tenant_id: str = "ten_1", caller: Caller | None = None, trace: str = ""
    ) -> int:
        """The index of its entry."""
        with acting_as(caller):
            event = new_event(type, data, source="consent", subject=subject, sequence=1, tenant_id=tenant_id)
        record = to_record(event, TOPICS[0], 0)
        headers = {**record.headers, "traceparent": f"00-{trace}-00f067aa0ba902b7-01".encode()} if trace else record.headers
        await self.there.bus.publish([record._replace(headers=headers)])
        self.size += 1
        return self.size - 1

    async def found(self, **asked: Any) -> list[int]:
        await self.there.reaches(self.size)
        return [event.index for event, _ in (await self.search(Question("ten_1", **asked), 100)).events]


@pytest.fixture
async def log(there: Installation) -> AsyncGenerator[Log]:
    await there.store.start([SPANS, ROWS])
    async with running(there.writer("a")):
        yield Log(there)


@promise("A1")
async def test_a_person_is_found_in_their_own_events_and_inside_batches(log: Log) -> None:
    mine = await log.add(GIVEN, given(ANN))
    await log.add(GIVEN, given(BEN))
    both = await log.add(SETTLED, batch("cmp_1", BEN, ANN))
    assert await log.found(people=(ANN,)) == [both, mine]
    assert await log.found(subscribers=("sub_a",)) == [both]
    assert await log.found(people=(ANN,), campaign_id="cmp_1") == [both]
    assert await log.found(people=(ANN,), actions=(GIVEN,)) == [mine]


@promise("A1")
async def test_events_are_found_by_actor_object_request_and_time(log: Log) -> None:
    key = Caller("ten_1", Actor("api_key", "key_1"), Actor("user", "usr_1"), origin=Origin("req_1", "192.0.2.0/24"))
    done = await log.add("x", b"", subject="lst_1", caller=key)
    other = await log.add("x", b"", subject="lst_2")
    assert [await log.found(**{name: value}) for name, value in (
        ("actor", "api_key:key_1"), ("actor", "user:usr_1"), ("object", "lst_1"), ("request_id", "req_1"),
    )] == [[done]] * 4  # fmt: skip
    assert await log.found() == [other, done]
    event = (await log.search(Question("ten_1", object="lst_1"), 1)).events[0][0]
    assert event.entry.context["network"] == "192.0.2.0/24"
    at = event.entry.time_us
    assert await log.found(object="lst_1", from_us=at, to_us=at + 1) == [done]
    assert await log.found(object="lst_1", to_us=at) == [] == await log.found(object="lst_1", from_us=at + 1)


@promise("A1")
async def test_events_are_found_by_the_trace_of_the_call_that_made_them(log: Log) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    here = [await log.add("x", b"", trace=one) for one in (trace, "", trace[::-1], trace)]
    assert await log.found(trace_id=trace) == [here[3], here[0]]
    assert await log.found(trace_id=trace[:-1]) == []


@promise("A1")
async def test_another_customers_entries_are_found_by_nobody_else_even_with_their_address_key(log: Log) -> None:
    await log.add(GIVEN, given(ANN), tenant_id="ten_2", subject="lst_1")
    assert [await log.found(), await log.found(people=(ANN,)), await log.found(object="lst_1")] == [[], [], []]


async def test_pages_go_on_where_the_one_before_ended_over_spans_and_what_is_newer(log: Log) -> None:
    for n in range(25):
        await log.add(GIVEN, given(ANN if n % 2 else BEN))
    wanted = await log.found(people=(ANN,))
    assert len(log.indexer.spans) >= 2
    assert wanted == [n for n in range(24, -1, -1) if n % 2]
    pages: list[int] = []
    question = Question("ten_1", people=(ANN,))
    while True:
        page = await log.search(question, 5)
        pages += [event.index for event, _ in page.events]
        if not page.more:
            break
        question = replace(question, before=pages[-1])
    assert pages == wanted


async def test_an_event_in_several_entries_is_found_once_by_everybody_in_it(log: Log) -> None:
    people = [b"\1" + n.to_bytes(32, "big") for n in range(1, 4001)]
    event = new_event(SETTLED, batch("cmp_1", *people), source="sending", subject="c", sequence=1, tenant_id="ten_1")
    await log.there.bus.publish([to_record(event, TOPICS[0], 0)])
    await log.there.reaches(3)
    assert [await log.found(people=(one,)) for one in (people[0], people[-1])] == [[2], [2]]
    (found, _), = (await log.search(Question("ten_1", people=(people[7],)), 5)).events  # fmt: skip
    assert (found.first, len(found.pieces), len(found.data)) == (0, 3, len(event.data))


@promise("A1")
async def test_a_dropped_projection_is_made_anew_from_the_log_and_finds_the_same(log: Log) -> None:
    for n in range(25):
        await log.add(SETTLED, batch(f"cmp_{n % 3}", ANN, BEN))
    before = await log.found(people=(ANN,), campaign_id="cmp_1")
    assert before
    await log.spans.drop()
    assert await log.there.store.collection(ROWS.name).count() == 0
    assert await log.found(people=(ANN,), campaign_id="cmp_1") == before
    another = Log(log.there)
    assert await another.found(people=(ANN,), campaign_id="cmp_1") == before
    assert another.indexer.spans == log.indexer.spans


async def test_two_processes_that_index_the_same_log_disturb_nobody(log: Log) -> None:
    for _ in range(25):
        await log.add(GIVEN, given(ANN))
    other = Log(log.there)
    await log.there.reaches(25)
    await asyncio.gather(log.indexer.follow(), other.indexer.follow())
    assert await log.found(people=(ANN,)) == await other.found(people=(ANN,)) == list(range(24, -1, -1))


async def forty_spans(log: Log) -> list[int]:
    """Where Ann is in them, the newest first."""
    indexes = [await log.add(GIVEN, given(ANN if n % 5 else BEN)) for n in range(330)]
    await log.found(people=(BEN,))
    assert len(log.indexer.spans) >= 40
    return [index for n, index in reversed([*enumerate(indexes)]) if n % 5]


async def everything(log: Log) -> list[int]:
    return [event.index for event, _ in (await log.search(Question("ten_1", people=(ANN,)), 1000)).events]


async def test_spans_that_another_process_made_into_runs_are_found_in_those(log: Log) -> None:
    wanted = await forty_spans(log)
    other = Log(log.there)
    await other.indexer.follow()
    await other.indexer.join()
    assert [run.level for run in log.indexer.runs[:9]] == [0] * 9
    assert await everything(log) == await everything(other) == wanted
    assert log.indexer.runs == other.indexer.runs and [run.level for run in log.indexer.runs[:5]] == [1] * 5
    await log.indexer.join()
    late = Log(log.there)
    assert await everything(late) == wanted and late.indexer.runs == log.indexer.runs


async def test_a_process_that_is_behind_goes_on_where_another_has_come_to(log: Log) -> None:
    behind, first = Log(log.there), await log.add(GIVEN, given(ANN))
    await log.there.reaches(1)
    assert await everything(behind) == [first]
    wanted = await forty_spans(log)
    await log.indexer.join()
    await behind.indexer.look_again()
    assert behind.indexer.indexed == log.indexer.runs[-1].spans[-1].end
    assert await everything(behind) == [*wanted, first] and behind.indexer.runs == log.indexer.runs


async def test_two_processes_that_make_runs_at_once_disturb_nobody(log: Log) -> None:
    wanted = await forty_spans(log)
    other = Log(log.there)
    await other.indexer.follow()
    await asyncio.gather(log.indexer.join(), other.indexer.join(), *(everything(log) for _ in range(5)))
    assert await everything(log) == await everything(other) == wanted
    assert log.indexer.runs == other.indexer.runs == (await log.spans.all(log.indexer.generation))


@pytest.mark.parametrize("write", [3, 16, 17, 18, 300])
async def test_a_process_killed_while_it_makes_runs_loses_nothing(log: Log, monkeypatch: pytest.MonkeyPatch, write: int) -> None:
    wanted = await forty_spans(log)
    writes = 0

    def counted(collection: Any, name: str) -> None:
        does = getattr(collection, name)

        async def maybe(*given: Any) -> Any:
            nonlocal writes
            writes += 1
            if writes == write:
                raise KilledHere
            return await does(*given)

        monkeypatch.setattr(collection, name, maybe)

    with monkeypatch.context():
        for collection in (log.there.store.collection(ROWS.name), log.there.store.collection(SPANS.name)):
            counted(collection, "insert_many")
            counted(collection, "delete")
        with pytest.raises(KilledHere):
            await log.indexer.join()
    after = Log(log.there)
    assert await everything(after) == wanted
    await after.indexer.join()
    assert await everything(after) == wanted and [run.level for run in after.indexer.runs[:5]] == [1] * 5


class KilledHere(Exception):
    pass


async def test_an_index_that_lacks_a_document_says_so_and_what_to_do(log: Log) -> None:
    await forty_spans(log)
    rows = log.there.store.collection(ROWS.name)
    async for page in rows.scan():
        for document in page:
            await rows.delete(document["_id"])
    with pytest.raises(Unavailable, match="index rebuild"):
        await everything(log)
    await log.indexer.join()  # ends, and leaves it
    await log.spans.drop()
    assert len(await everything(log)) == 264


async def test_what_comes_in_bulk_is_looked_at_once_it_is_over(there: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = [100, 200, 200, 300, *[300 + CALM] * CALM_LOOKS, 0]
    indexer = Indexer(there.reader, Spans(lambda: there.store.collection(SPANS.name), lambda: there.store.collection(ROWS.name)))
    looked: list[int] = []

    async def checkpoint() -> tuple[Checkpoint, str]:
        await asyncio.sleep(0)
        if len(sizes) == 1:
            raise asyncio.CancelledError
        return Checkpoint("log", sizes.pop(0), b""), ""

    async def follow() -> None:
        looked.append(len(sizes))

    monkeypatch.setattr(indexing, "EVERY_S", 0)
    monkeypatch.setattr(there.reader, "checkpoint", checkpoint)
    monkeypatch.setattr(indexer, "follow", follow)
    with pytest.raises(asyncio.CancelledError):
        await indexer.run()
    assert looked == [1]
