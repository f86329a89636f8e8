"""The first gate: decisions by the law alone on one core, in bulk over gRPC, and the state of a person with ten thousand events."""

from __future__ import annotations

import asyncio
import hashlib
import random
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop

from bench.running import Figures, parser, report, say
from postlaw.consent.v1 import consent_pb2 as pb
from postlaw.consent.v1.consent_pb2_grpc import ConsentServiceStub
from postlaw.identity.v1 import identity_pb2
from postlaw.identity.v1.identity_pb2_grpc import add_IdentityServiceServicer_to_server
from postlaw_common.ids import new_id
from postlaw_common.testing.mesh import Mesh, fake, mesh
from postlaw_consent.afterwards import Afterwards
from postlaw_consent.domain.event import Actor, ConsentEvent
from postlaw_consent.domain.fact import Fact, Terms
from postlaw_consent.domain.fold import fold
from postlaw_consent.domain.gate import Gate
from postlaw_consent.domain.message import Asked, Sender
from postlaw_consent.domain.particulars import Particulars
from postlaw_consent.domain.scope import EVERYTHING, Belongs, Scope
from postlaw_consent.ledger import LEDGER, Ledger, document_of
from postlaw_consent.service import ConsentSettings, build
from postlaw_consent.standings import SNAPSHOTS, Standings
from postlaw_consent.wire import decode, encode, evidence_to_wire, timestamp
from postlaw_law.clocks import microseconds
from postlaw_law.facts import Person
from postlaw_law.loading import the_law
from postlaw_law.words import Evidence

TENANT = "ten_bench"
NEWS = Scope("list", "lst_bench")
NOW = microseconds(datetime(2026, 11, 1, 12, tzinfo=UTC))
DAY = 86_400_000_000
HELD: tuple[Evidence, ...] = ("affirmative_act", "contact_shown", "purpose", "requester_named", "separate", "withdrawal_info")
EVENTS = 10_000
BATCH = 1_000
AT_ONCE = 4  # partitions


def people(count: int) -> list[Person]:
    """All distinct, under three laws (Germany, Canada, the sender's Ireland): consents of every age, relationships, opt-outs, pauses."""
    chance = random.Random(4)
    held = frozenset[Evidence]((*HELD, "proof_ref", "wording_version"))
    found: list[Person] = []
    for number in range(count):
        ago = chance.randrange(900 * DAY) + number
        terms = Terms(held=held, territories=("CA", "DE"))
        facts = [Fact(1, "given", NEWS.key, "page", NOW - ago, terms)]
        kind = number % 10
        if kind == 1:
            facts.append(Fact(2, "withdrawn", NEWS.key, "one_click", NOW - ago // 2))
        elif kind == 2:
            facts.append(Fact(2, "implied", EVERYTHING.key, "api", NOW - ago // 2, Terms(relationship="purchase", held=held)))
        elif kind == 3:
            facts.append(Fact(2, "paused", EVERYTHING.key, "page", NOW - ago // 2, Terms(until_us=NOW - ago // 3)))
        found.append(fold(facts).person())
    return found


def by_law(count: int) -> Figures:
    """Processor time of one thread, the message made ready included; the digest covers every verdict in order."""
    those = people(count)
    began = time.process_time()
    gate = Gate(Asked().by(Sender("IE"), Belongs(NEWS)), the_law(), NOW)
    answers = [gate.decide(person, 0) for person in those]
    seconds = time.process_time() - began
    digest = hashlib.sha256()
    for answer in answers:
        digest.update(f"{answer.allow} {[reason.code for reason in answer.reasons]} {answer.expires_at}\n".encode())
    allowed = sum(answer.allow for answer in answers)
    say(f"{count} decisions by the law in {seconds:.2f} s of one core: {allowed} allowed")
    return {"decisions_per_second": round(count / seconds), "allowed": allowed, "digest": digest.hexdigest()}


class Identity:
    """Where the customer stands, and no keys."""

    async def GetTenant(self, request: identity_pb2.GetTenantRequest, context: Any) -> identity_pb2.Tenant:
        return identity_pb2.Tenant(tenant_id=request.tenant_id, sender_identity=identity_pb2.SenderIdentity(territory="IE"))

    async def ListSigningKeys(self, request: Any, context: Any) -> identity_pb2.ListSigningKeysResponse:
        return identity_pb2.ListSigningKeysResponse()


def record(address_key: bytes, list_id: str, given_us: int) -> pb.ConsentRecord:
    return pb.ConsentRecord(
        address_key=address_key, scope=pb.Scope(list_id=list_id), route=pb.ROUTE_PAGE, given_at=timestamp(given_us), wording="Yes.",
        particulars=pb.Particulars(held=evidence_to_wire(HELD), territories=["CA", "DE"]),
    )  # fmt: skip


async def over_grpc(m: Mesh, count: int) -> Figures:
    """People recorded one by one, so that no two share anything; then decided on in batches of a thousand, a partition after the other."""
    gateway = ConsentServiceStub(m.channel("consent", caller=m.caller(TENANT, ["consents:write"])))
    sending = ConsentServiceStub(m.channel("consent", as_service="sending", caller=m.caller(TENANT, ["decisions:read"])))
    keys = [b"\x01" + hashlib.sha256(f"{number}".encode()).digest() for number in range(count)]
    now = time.time_ns() // 1000
    for begin in range(0, count, BATCH):
        some = keys[begin : begin + BATCH]
        await gateway.RecordConsents(
            pb.RecordConsentsRequest(consents=[record(key, NEWS.id, now - DAY - place) for place, key in enumerate(some, begin)])
        )
    say(f"{count} people recorded")
    placement = m.running.backing.placement()
    by_partition: dict[int, list[bytes]] = {}
    for key in keys:
        by_partition.setdefault(placement.partition(TENANT, key), []).append(key)
    began = time.perf_counter()
    waiting = list(by_partition.items())

    async def some_partitions() -> int:
        """As a campaign's planner goes on: of each partition one batch after the other, of several partitions at a time."""
        allowed = 0
        while waiting:
            partition, theirs = waiting.pop()
            for begin in range(0, len(theirs), BATCH):
                allowed += await decided(sending, partition, theirs[begin : begin + BATCH])
        return allowed

    allowed = sum(await asyncio.gather(*(some_partitions() for _ in range(AT_ONCE))))
    seconds = time.perf_counter() - began
    if allowed != count:
        raise SystemExit(f"{count - allowed} of {count} were refused")
    return {"bulk_grpc_per_second": round(count / seconds)}


async def decided(sending: Any, partition: int, keys: Sequence[bytes]) -> int:
    answer = await sending.GetDecisions(
        pb.GetDecisionsRequest(scope=pb.Scope(list_id=NEWS.id), partition=partition, address_keys=keys, opt_out_tokens=True, bulk=True)
    )
    return sum(one.allow for one in answer.decisions)


def long_ago(person: bytes, version: int, now: int) -> ConsentEvent:
    return ConsentEvent(
        event_id=new_id("evt"),
        tenant_id=TENANT,
        address_key=person,
        version=version,
        kind="given",
        scope=Scope("list", f"lst_{version % 50}"),
        route="page",
        at_us=now - DAY + version,
        recorded_at_us=now,
        actor=Actor("service", "bench"),
        particulars=Particulars(held=HELD, territories=("CA", "DE")),
    )


async def long_history(m: Mesh, rounds: int) -> Figures:
    """Reading and folding it anew each time, as a decision does; the first reading makes the snapshot. The events are put into the ledger
    as they are: through the service each thousand would first read all that is there."""
    person = b"\x01" + hashlib.sha256(b"a person of many events").digest()
    now = time.time_ns() // 1000
    store = m.running.backing.store("consent")
    ledger = Ledger(lambda: store.collection(LEDGER.name), encode, decode, m.running.backing.placement)
    events = [long_ago(person, version, now) for version in range(1, EVENTS + 1)]
    for begin in range(0, EVENTS, BATCH):
        await ledger.append_in_order([document_of(ledger.entry(event)) for event in events[begin : begin + BATCH]], "")
    afterwards = Afterwards()
    standings = Standings(ledger, lambda: store.collection(SNAPSHOTS.name), afterwards)
    began = time.perf_counter()
    await standings.of(TENANT, [person])
    whole = time.perf_counter() - began
    await afterwards.drain()
    took: list[float] = []
    for _ in range(rounds):
        began = time.perf_counter()
        await standings.of(TENANT, [person])
        took.append(time.perf_counter() - began)
    took.sort()
    return {
        "fold_ms_p99": round(took[len(took) * 99 // 100] * 1000, 2),
        "fold_ms_median": round(took[len(took) // 2] * 1000, 2),
        "fold_ms_whole": round(whole * 1000),
    }


async def run(directory: Path, count: int, rounds: int, urls: dict[str, Any]) -> Figures:
    builders = [
        lambda platform: build(platform, ConsentSettings()),
        fake("identity", add_IdentityServiceServicer_to_server, Identity()),
    ]
    async with mesh(directory, builders, **urls) as m:
        return {**await over_grpc(m, count), **await long_history(m, rounds)}


def measure(backend: str, count: int, rounds: int) -> Figures:
    figures = by_law(count)
    with tempfile.TemporaryDirectory(prefix="postlaw-bench-") as directory:
        if backend == "real":
            from bench.real_mesh import real_backing

            with real_backing(Path(directory)) as env:
                urls = {name.removeprefix("POSTLAW_").lower(): url for name, url in env.items() if name.startswith("POSTLAW_")}
                return {**figures, **uvloop.run(run(Path(directory), count, rounds, urls))}
        return {**figures, **uvloop.run(run(Path(directory), count, rounds, {}))}


def main(arguments: list[str]) -> int:
    options_of = parser("consent", __doc__ or "")
    options_of.add_argument("--people", type=int, default=100_000)
    options = options_of.parse_args(arguments)
    return report(options, lambda: measure(options.backend, 5_000 if options.quick else options.people, 20 if options.quick else 200))
