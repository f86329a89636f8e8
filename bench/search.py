"""Finding entries of the log: milliseconds until a page of 50 is there, by what is asked for.

`p99_ms` and `median_ms` are of all kinds of questions together, each asked as often; `p99_of` and `median_of` of each. `index_mb` is what
the index takes in the store, `index_us` the processor time that an entry takes until it is there.
"""

from __future__ import annotations

import random
import secrets
import tempfile
import time
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path

import uvloop

from bench.parts import Parts, embedded_parts
from bench.running import Figures, parser, report, say
from bench.written_log import write_log
from postlaw.consent.v1 import consent_pb2 as consent
from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_audit.index import EVENT_INDEX, EventIndex
from postlaw_audit.reader import LogReader
from postlaw_audit.search.indexing import ROWS_A_SPAN, Indexer
from postlaw_audit.search.searching import Question, Search
from postlaw_audit.search.spans import ROWS, SPANS, Spans
from postlaw_common.bus import Received
from postlaw_common.ids import new_id

TENANT, PAGE = "ten_bench", 50
GIVEN, SETTLED = "postlaw.consent.ConsentEvent", "postlaw.sending.BatchSettled"
TOPICS = {GIVEN: "postlaw.consent.events.v1", SETTLED: "postlaw.sending.outcomes.v1"}
BATCH_EVERY, BATCH_OF = 200, 200  # entries, people
EVENTS_OF_A_PERSON, EVENTS_OF_A_REQUEST, BATCHES_OF_A_CAMPAIGN = 5, 20, 50
STEP_US = 1000  # between two events
BEGAN_US = 1_764_000_000_000_000


class World:
    """A customer's events: consent of people, thousands an import's worth, and campaigns' batches among it. All by its numbers."""

    def __init__(self, entries: int) -> None:
        self.entries = entries
        self.people = [secrets.token_bytes(33) for _ in range(max(BATCH_OF, entries // EVENTS_OF_A_PERSON))]
        self.requests = [secrets.token_hex(16) for _ in range(entries // EVENTS_OF_A_REQUEST + 1)]

    def batches(self) -> Generator[list[Received]]:
        for start in range(0, self.entries, 4096):
            yield [self._record(number) for number in range(start, min(self.entries, start + 4096))]

    def _record(self, number: int) -> Received:
        if number % BATCH_EVERY:
            type, actor = GIVEN, b"service:subscribers"
            person = self.people[number % len(self.people)]
            data = consent.ConsentEvent(
                event_id=f"evt_{number}", tenant_id=TENANT, address_key=person, kind=consent.ConsentEvent.KIND_GIVEN,
                source="import", notice_hash=b"n" * 32, sealed_proof_evidence=bytes(150),
            ).SerializeToString()  # fmt: skip
        else:
            type, actor = SETTLED, b"service:sending"
            batch = number // BATCH_EVERY
            some = range(batch * BATCH_OF, (batch + 1) * BATCH_OF)
            data = sending.BatchSettled(
                tenant_id=TENANT, campaign_id=self.campaign(batch), states=b"\2" * BATCH_OF,
                address_keys=[self.people[n % len(self.people)] for n in some],
                subscriber_ids=[f"sub_{n % len(self.people):022d}" for n in some],
            ).SerializeToString()  # fmt: skip
        request = self.requests[number // EVENTS_OF_A_REQUEST]
        headers = {
            "ce_id": new_id("evt").encode(), "ce_type": type.encode(), "ce_subject": b"object_%d" % number, "ce_tenant": TENANT.encode(),
            "ce_actor": actor, "ce_requestid": request[:20].encode(), "traceparent": f"00-{request}-0000000000000001-01".encode(),
            "ce_time": b"%d" % self.time_us(number), "ce_sequence": b"1",
        }  # fmt: skip
        if number % 100_000 == 77:
            headers["ce_onbehalfof"] = b"user:usr_rare"
        return Received(TOPICS[type], number % 16, number // 16, data, None, headers, self.time_us(number))

    def campaign(self, batch: int) -> str:
        return f"cmp_{batch // BATCHES_OF_A_CAMPAIGN}"

    def time_us(self, number: int) -> int:
        return BEGAN_US + number * STEP_US

    def questions(self, chance: random.Random) -> dict[str, Question]:
        """One of each kind, about things of any age."""
        at = chance.randrange(self.entries)
        at += at % BATCH_EVERY == 0 and at < self.entries - 1
        person = at % len(self.people)
        campaign = self.campaign(at // BATCH_EVERY)
        all_of = Question(TENANT)
        narrow = replace(all_of, from_us=self.time_us(at), to_us=self.time_us(at + 500))
        given, last = replace(all_of, actions=(GIVEN,)), min(self.entries, PAGE + 10)
        of_person = replace(all_of, people=(self.people[person],), subscribers=(f"sub_{person:022d}",))
        return {
            "everything": all_of,
            "last page": replace(all_of, before=last),
            "time": narrow,
            "person": of_person,
            "nobody": replace(all_of, people=(secrets.token_bytes(33),), subscribers=("sub_nobody",)),
            "actor of everything": replace(all_of, actor="service:subscribers"),
            "rare actor": replace(all_of, actor="user:usr_rare"),
            "no actor": replace(all_of, actor="user:usr_nobody"),
            "object": replace(all_of, object=f"object_{at}"),
            "action": given,
            "action, last page": replace(given, before=last),
            "rarer action": replace(all_of, actions=(SETTLED,)),
            "campaign": replace(all_of, campaign_id=campaign),
            "trace": replace(all_of, trace_id=self.requests[at // EVENTS_OF_A_REQUEST]),
            "person and action": replace(of_person, actions=(SETTLED,)),
            "person and campaign": replace(of_person, campaign_id=campaign),
            "action and time": replace(narrow, actions=(GIVEN,)),
            "action of another actor": replace(given, actor="service:sending"),
        }


async def run(parts: Parts, entries: int, rounds: int, rows_a_span: int) -> Figures:
    await parts.start([EVENT_INDEX, SPANS, ROWS], [])
    world = World(entries)
    began = time.perf_counter()
    await write_log(parts.blobs, None, world.batches())
    say(f"{entries} entries in {time.perf_counter() - began:.1f} s")
    reader = LogReader(parts.blobs, EventIndex(lambda: parts.store.collection(EVENT_INDEX.name)))
    spans = Spans(lambda: parts.store.collection(SPANS.name), lambda: parts.store.collection(ROWS.name))
    indexer = Indexer(reader, spans, rows_a_span=rows_a_span)
    began, worked = time.perf_counter(), time.process_time()
    await indexer.follow()
    await indexer.join()
    worked = time.process_time() - worked
    say(f"indexed in {time.perf_counter() - began:.1f} s")
    search, chance = Search(reader, indexer), random.Random(1)
    took: dict[str, list[float]] = {}
    for _ in range(rounds):
        for kind, question in world.questions(chance).items():
            began = time.perf_counter()
            await search(question, PAGE)
            took.setdefault(kind, []).append((time.perf_counter() - began) * 1000)
    index_bytes = 0
    async for page in parts.store.collection(ROWS.name).scan():
        index_bytes += sum(len(value) for document in page for value in document.values() if isinstance(value, bytes))
    await parts.close()
    every = [each for some in took.values() for each in some]
    return {
        "entries": entries, "p99_ms": _at(every, 99), "median_ms": _at(every, 50), "index_mb": round(index_bytes / 1e6, 1),
        "index_us": round(worked / entries * 1e6, 1), "spans": len(indexer.spans), "index_runs": len(indexer.runs),
        "p99_of": {kind: _at(some, 99) for kind, some in took.items()}, "median_of": {kind: _at(some, 50) for kind, some in took.items()},
    }  # fmt: skip


def _at(values: Sequence[float], percent: int) -> float:
    return round(sorted(values)[len(values) * percent // 100], 1)


def measure(backend: str, *how: int) -> Figures:
    with tempfile.TemporaryDirectory(prefix="postlaw-bench-") as directory:
        if backend == "real":
            from bench.real_mesh import real_parts

            with real_parts(Path(directory)) as parts:
                return uvloop.run(run(parts, *how))
        return uvloop.run(run(embedded_parts(Path(directory), "audit"), *how))


def main(arguments: list[str]) -> int:
    options_of = parser("search", __doc__ or "")
    options_of.add_argument("--entries", type=int, default=1_000_000)
    options = options_of.parse_args(arguments)
    how = (3000, 2, 5000) if options.quick else (options.entries, 100, ROWS_A_SPAN)
    return report(options, lambda: measure(options.backend, *how))
