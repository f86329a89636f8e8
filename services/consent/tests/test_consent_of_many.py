"""The same consent of many people at once: what an import records."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from postlaw.consent.v1 import consent_pb2 as pb
from postlaw_common.caller import acting_as
from postlaw_common.errors import Invalid
from postlaw_common.testing.promises import promise
from postlaw_consent.domain.event import Actor, ConsentEvent
from postlaw_consent.domain.particulars import Particulars
from postlaw_consent.domain.scope import Scope
from postlaw_consent.intents import INTENTS
from postlaw_consent.ledger import LEDGER, Entry, document_of
from postlaw_consent.notices import NOTICES
from postlaw_consent.outgoing import record_of
from postlaw_consent.wire import decode, encode, encode_alike, timestamp

if TYPE_CHECKING:
    from .world import World


def people(world: World, count: int) -> list[bytes]:
    return [world.person(str(number)) for number in range(count)]


def test_an_event_alike_has_the_bytes_of_the_whole_event() -> None:
    event = ConsentEvent(
        "", "ten_1", b"", 1, "given", Scope("list", "lst_1"), "import", 5, 7, Actor("service", "subscribers"), Actor("user", "usr_1"),
        source="a form", notice_hash=b"notice", sealed_profile_evidence=b"to profile", sealed_attestation=bytes(200),
        particulars=Particulars(relationship="purchase"),
    )  # fmt: skip
    one = encode_alike(event)
    for key, evidence in ((b"k" * 33, b"sealed"), (b"l" * 33, bytes(300)), (b"m" * 33, b"")):
        whole = decode(one("evt_1", key, evidence, 5_000_001))
        assert (whole.event_id, whole.address_key, whole.sealed_proof_evidence, whole.at_us) == ("evt_1", key, evidence, 5_000_001)
        assert encode(whole) == one("evt_1", key, evidence, 5_000_001)
        assert replace(whole, event_id="", address_key=b"", sealed_proof_evidence=b"", at_us=5) == event


@promise("G2")
async def test_each_person_has_a_record_of_their_own_on_ledger_and_bus(world: World) -> None:
    asked = people(world, 500)
    answer = await world.record_of_many(asked, source="the shop's checkout", wording="Yes.")
    assert (answer.recorded, answer.already_recorded) == (500, 0)
    records = await world.published()
    assert {pb.ConsentEvent.FromString(record.value).address_key for record in records} == set(asked)
    ledger = world.stores["consent"].collection(LEDGER.name)
    for record in records:
        event = decode(record.value)
        assert (event.version, event.sealed_proof_evidence, event.source) == (1, b"sealed " + event.address_key, "the shop's checkout")
        again = record_of(event, record.value, world.partition(event.address_key))
        assert (again.partition, again.key, dict(again.headers)) == (record.partition, record.key, dict(record.headers))
        whole = document_of(Entry(event, record.value, record.partition))
        kept = await ledger.get(whole["_id"])
        assert kept is not None
        assert kept.pop("call")
        assert kept == whole | {"v": 1}
    assert await world.allowed(asked[7])


@promise("G2")
async def test_each_person_may_have_a_time_of_their_own_and_is_told_where_the_notice_was_not_shown_yet(world: World) -> None:
    asked = people(world, 4)
    await world.given(asked[3], list_id="lst_2")  # with a history: the way of one by one
    day = 86_400_000_000
    now = world.now_us()
    with acting_as(world.caller):
        shown = timestamp(now - 5 * day)
        await world.consent.PutNotice(pb.PutNoticeRequest(wording="Yes.", language="en", effective_from=shown), None)
    times = [now - 3 * day, 0, now - 9 * day, now - 2 * day]
    answer = await world.record_of_many(asked, wording="Yes.", given_at=timestamp(now - 4 * day), given_at_us=times)
    assert answer.recorded == 4
    assert [remark.field for remark in answer.remarks] == ["given_at_us[2]"]
    events = {event.address_key: event for event in await world.events() if event.scope.key == "list:lst_1"}
    assert [events[person].at_us for person in asked] == [now - 3 * day, now - 4 * day, now - 9 * day, now - 2 * day]
    ledger = world.stores["consent"].collection(LEDGER.name)
    for record in await world.published():
        whole = document_of(Entry(decode(record.value), record.value, record.partition))
        assert ((await ledger.get(whole["_id"])) or {})["fact"] == whole["fact"]
    for wrong in ([now], [now + day] * 4, [-1] * 4):
        with pytest.raises(Invalid):
            await world.record_of_many(asked, given_at_us=wrong, idempotency_key="import/2")


@promise("G2")
async def test_the_wording_of_an_import_is_kept_as_a_notice_that_every_event_names(world: World) -> None:
    wording = "Yes, send me news. " * 200
    await world.record_of_many(people(world, 3), wording=wording)
    digest = hashlib.sha256(wording.encode()).digest()
    assert {event.notice_hash for event in await world.events()} == {digest}
    notice = await world.stores["consent"].collection(NOTICES.name).get(f"{world.caller.tenant_id}/{digest.hex()}")
    assert notice is not None
    assert notice["wording"] == wording


async def test_what_somebody_attests_of_many_needs_no_evidence_of_each(world: World) -> None:
    asked = people(world, 3)
    await world.record_of_many(asked, evidence=(), sealed_attestation=b"sealed")
    await world.given(asked[0], list_id="lst_2")
    answer = await world.record_of_many(asked, evidence=(), sealed_attestation=b"sealed anew", idempotency_key="import/2")
    assert answer.recorded == 3
    attested = [event.sealed_attestation for event in await world.events() if event.route == "import"]
    assert sorted(attested) == [b"sealed"] * 3 + [b"sealed anew"] * 3


async def test_asking_twice_records_once(world: World) -> None:
    asked = people(world, 300)
    await world.record_of_many(asked[:200])
    answer = await world.record_of_many(asked)
    assert (answer.recorded, answer.already_recorded) == (100, 200)
    assert len(await world.events()) == 300


async def test_who_has_a_history_is_appended_to_and_who_said_stop_stays_stopped(world: World) -> None:
    asked = people(world, 50)
    await world.given(asked[0], list_id="lst_2")
    await world.withdraw(asked[1])
    answer = await world.record_of_many(asked)
    assert answer.recorded == 50
    assert [event.version for event in (await world.listed(asked[0])).events] == [1, 2]
    assert [await world.allowed(person) for person in asked[:3]] == [True, False, True]


@promise("S8")
async def test_killed_between_ledger_and_bus_the_relay_publishes_every_event(world: World) -> None:
    world.bus.hanging = True
    asked = people(world, 700)
    call = asyncio.create_task(world.record_of_many(asked))
    while await world.stores["consent"].collection(LEDGER.name).count() < 700:
        await asyncio.sleep(0.01)
    call.cancel()
    await world.restart()
    world.clock_ahead_us = 10_000_000
    assert await world.relay.sweep() == 700
    assert {event.address_key for event in await world.events()} == set(asked)
    assert await world.stores["consent"].collection(INTENTS.name).count() == 0


async def test_a_person_named_twice_or_evidence_of_nobody_is_refused(world: World) -> None:
    asked = people(world, 2)
    consent = pb.ConsentRecord(scope=pb.Scope(list_id="lst_1"))
    for keys, evidence in (([asked[0], asked[0]], [b"a", b"b"]), (asked, [b"a"]), (asked, [b"a", b"b", b"c"]), ([b"short"], [b"a"])):
        with pytest.raises(Invalid) as refused:
            await world.consent.RecordConsentOfMany(
                pb.RecordConsentOfManyRequest(consent=consent, address_keys=keys, sealed_proof_evidence=evidence), None
            )
        assert all(one.field.startswith("address_key") for one in refused.value.fields)
    assert await world.events() == []
