"""How the search's index keeps a span: the same is found in memory and in the store, and what everybody has fills a page at once."""

from __future__ import annotations

import random

import pytest

from postlaw_audit.search.open_span import OpenSpan
from postlaw_audit.search.postings import SPARSE, newest_first
from postlaw_audit.search.searching import Question
from postlaw_audit.search.spans import ROWS, SPANS, RowsGone, Run, Spans, joinable
from services.audit.tests.installation import Installation
from services.audit.tests.test_audit_search import GIVEN, Log, given, log

assert log  # the fixture

COMMON, HALF, OWN_COMMON = b"\0" * 8, b"\1" * 8, b"\2" * 8
START, COUNT = 1000, SPARSE + 500


async def test_the_same_is_found_in_memory_and_in_the_store(there: Installation) -> None:
    await there.store.start([SPANS, ROWS])
    spans = Spans(lambda: there.store.collection(SPANS.name), lambda: there.store.collection(ROWS.name))
    chance, newest = random.Random(1), OpenSpan(START)
    having: dict[bytes, set[int]] = {}
    for index in range(START, START + COUNT):
        shared = {COMMON, HALF} if index % 2 else {COMMON}
        own = {OWN_COMMON, chance.randrange(200).to_bytes(8, "little"), index.to_bytes(8, "big")}
        newest.add(index, shared, own, index)
        for term in shared | own:
            having.setdefault(term, set()).add(index)
    span = newest.span(START + COUNT)
    await spans.add(1, span, newest.rows_by_bucket())
    terms = list(having)
    asked = [[[COMMON]], [[OWN_COMMON], [HALF]], [[HALF], [terms[7]]], [[terms[4], terms[9]], [COMMON]], [[b"unknown."]]]
    for conditions in [*asked, *([[term]] for term in chance.sample(terms, 100))]:
        wanted = set.intersection(*(set[int]().union(*(having.get(term, ()) for term in one)) for one in conditions))
        stored = (await spans.found(1, [Run(0, (span,))], conditions))[START]
        pieces = [[*newest_first(bits)] for bits in newest.found(conditions, START + COUNT)]
        assert [START + distance for piece in pieces for distance in piece] == sorted(wanted, reverse=True)
        assert [START + distance for distance in newest_first(stored)] == sorted(wanted, reverse=True)


async def test_runs_of_every_size_find_what_their_spans_did(there: Installation) -> None:
    await there.store.start([SPANS, ROWS])
    spans = Spans(lambda: there.store.collection(SPANS.name), lambda: there.store.collection(ROWS.name))
    chance = random.Random(2)
    some = [chance.randbytes(8) for _ in range(300)]
    having: dict[bytes, set[int]] = {}
    end = 0
    for number in range(8 * 8 + 9):
        newest = OpenSpan(end)
        for index in range(end, end + (SPARSE + 10 if number == 5 else 40)):
            shared = {COMMON, HALF} if index % 2 else {COMMON}
            own = {*chance.sample(some, 3), some[-1]}
            newest.add(index, shared, own, index)
            for term in shared | own:
                having.setdefault(term, set()).add(index)
            end = index + 1
        await spans.add(1, newest.span(end), newest.rows_by_bucket())
    while runs := joinable(await spans.all(1)):
        made = await spans.join(1, runs)
        assert made in await spans.all(1)
        await spans.forget(1, runs)
        with pytest.raises(RowsGone):
            await spans.found(1, runs, [[COMMON]])
    runs = await spans.all(1)
    assert [run.level for run in runs] == [2, 1, 0]
    assert await there.store.collection(ROWS.name).count() == (1 << 13) + (1 << 10) + (1 << 7)
    for conditions in [[[COMMON]], [[HALF], [some[-1]]], [[some[3], some[4]], [COMMON]], [[b"unknown."]], *([[term]] for term in some)]:
        wanted = set.intersection(*(set[int]().union(*(having.get(term, ()) for term in one)) for one in conditions))
        found = await spans.found(1, runs, conditions)
        assert {start + distance for start, bits in found.items() for distance in newest_first(bits)} == wanted


async def test_a_time_leaves_out_what_lies_outside_its_blocks() -> None:
    newest = OpenSpan(0)
    for index in range(1000):
        newest.add(index, [COMMON], [], 5000 + index)
    span = newest.span(1000)
    assert [*newest_first(span.between(5600, 5601))] == [*range(639, 575, -1)]
    assert span.between(0, 5000) == span.between(7000, 0) == 0
    assert span.between(0, 0) == (1 << 1000) - 1


async def test_what_everybody_has_costs_no_more_entries_than_the_page(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    await log.there.publish(1500)
    log.size += 1500
    await log.add(GIVEN, given(b"\1" * 33))
    await log.found()
    read: list[int] = []
    bundle = log.there.reader.packed_bundle

    async def counted(number: int, size: int) -> bytes:
        read.append(number)
        return await bundle(number, size)

    monkeypatch.setattr(log.there.reader, "packed_bundle", counted)
    page = await log.search(Question("ten_1", actions=("x",)), 5)
    assert len(page.events) == 5 and read == [5]
