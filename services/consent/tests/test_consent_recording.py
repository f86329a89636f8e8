"""Consents given: one by one, by the thousand, twice, and by a process that dies in between."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

import pytest

from postlaw.consent.v1 import consent_pb2 as pb
from postlaw_common.caller import Actor, Caller
from postlaw_common.errors import Conflict, Invalid
from postlaw_common.store import Document
from postlaw_common.testing.patience import until
from postlaw_common.testing.promises import promise
from postlaw_consent.intents import INTENTS, Intents
from postlaw_consent.ledger import Ledger
from postlaw_consent.notices import NOTICES
from postlaw_consent.wire import timestamp

if TYPE_CHECKING:
    from .world import World

LIST = pb.Scope(list_id="lst_1")


def rows(world: World, count: int, *, list_id: str = "lst_1", key: str = "imp_1") -> list[pb.ConsentRecord]:
    return [
        pb.ConsentRecord(
            address_key=world.person(str(number)),
            scope=pb.Scope(list_id=list_id),
            route=pb.ROUTE_IMPORT,
            idempotency_key=f"{key}/{number}",
        )
        for number in range(count)
    ]


async def open_intents(world: World) -> int:
    return await world.stores["consent"].collection(INTENTS.name).count()


async def test_a_bulk_is_recorded_and_published_in_order_and_leaves_no_intent(world: World) -> None:
    answer = await world.record(*rows(world, 1000))
    assert (answer.recorded, answer.already_recorded) == (1000, 0)
    events = {event.event_id: event for event in await world.events()}
    assert [events[id].address_key for id in answer.event_ids] == [world.person(str(number)) for number in range(1000)]
    for record in await world.published():
        assert record.partition == world.partition(pb.ConsentEvent.FromString(record.value).address_key)

    async def none_is_left() -> bool:
        return not await open_intents(world)

    await until(none_is_left)


async def test_asking_twice_records_once_and_names_the_first_events(world: World) -> None:
    first = await world.record(*rows(world, 300))
    again = await world.record(*rows(world, 300))
    assert (again.recorded, again.already_recorded) == (0, 300)
    assert again.event_ids == first.event_ids
    assert len(await world.events()) == 300


async def test_the_same_bulk_twice_at_the_same_time_records_once(world: World) -> None:
    one, other = await asyncio.gather(world.record(*rows(world, 200)), world.record(*rows(world, 200)))
    assert one.event_ids == other.event_ids
    assert one.recorded + other.recorded == 200


async def test_people_known_already_are_appended_to(world: World) -> None:
    await world.record(*rows(world, 50))
    answer = await world.record(*rows(world, 80, list_id="lst_2", key="imp_2"))
    assert answer.recorded == 80
    person = world.person("7")
    assert await world.allowed(person)
    assert await world.allowed(person, list_id="lst_2")
    assert [event.version for event in (await world.listed(person)).events] == [1, 2]


async def test_several_consents_of_one_person_in_one_call_keep_their_order_and_their_keys(world: World) -> None:
    person = world.person("ada")
    records = [
        pb.ConsentRecord(address_key=person, scope=pb.Scope(list_id=f"lst_{number % 5}"), idempotency_key=f"k{number % 5}")
        for number in range(20)
    ]
    answer = await world.record(*records)
    assert (answer.recorded, answer.already_recorded) == (5, 15)
    assert list(answer.event_ids) == list(answer.event_ids[:5]) * 4
    assert [event.scope.list_id for event in (await world.listed(person)).events] == [f"lst_{number}" for number in range(5)]


def acts(world: World, count: int) -> list[pb.ConsentRecord]:
    """Of one person, on lists of their own."""
    person = world.person("ada")
    return [
        pb.ConsentRecord(address_key=person, scope=pb.Scope(list_id=f"lst_{number}"), idempotency_key=f"k{number}")
        for number in range(count)
    ]


async def test_many_acts_of_one_person_are_one_append(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    appends: list[int] = []
    begun = Intents.begun

    def counted(self: Intents, ids: Sequence[str], at_us: int) -> AbstractAsyncContextManager[str]:
        appends.append(len(ids))
        return begun(self, ids, at_us)

    monkeypatch.setattr(Intents, "begun", counted)
    answer = await world.record(*acts(world, 400))
    assert appends == [400]
    events = (await world.listed(world.person("ada"), page_size=400)).events
    assert [event.event_id for event in events] == list(answer.event_ids)
    assert [event.version for event in events] == list(range(1, 401))
    assert [event.scope.list_id for event in events] == [f"lst_{number}" for number in range(400)]


async def test_an_act_that_comes_between_leaves_no_gap_and_no_disorder(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another call takes the first version of many before they are appended; and one in their midst, the next time."""
    append, person = Ledger.append_in_order, world.person("ada")
    lengths: list[int] = []

    async def comes_between() -> None:
        await world.record(pb.ConsentRecord(address_key=person, scope=pb.Scope(topic=f"other {len(lengths)}")))

    async def overtaken(self: Ledger, documents: Sequence[Document], call: str) -> set[str]:
        lengths.append(len(documents))
        before = {1: 0, 2: 3}.get(len(lengths), len(documents))
        taken = await append(self, documents[:before], call)
        if before < len(documents):
            await comes_between()
        return taken | await append(self, documents[before:], call)

    monkeypatch.setattr(Ledger, "append_in_order", overtaken)
    answer = await world.record(*acts(world, 10))
    assert lengths == [10, 10, 7]
    events = (await world.listed(person)).events
    assert [event.version for event in events] == list(range(1, 13))
    assert [place for place, event in enumerate(events) if event.scope.topic] == [0, 4]
    assert [event.event_id for event in events if not event.scope.topic] == list(answer.event_ids)


async def test_a_key_used_for_something_else_is_refused_with_its_place(world: World) -> None:
    person = world.person("ada")
    await world.withdraw(person, idempotency_key="k1")
    with pytest.raises(Conflict) as refused:
        await world.record(
            pb.ConsentRecord(address_key=world.person("eve"), scope=LIST),
            pb.ConsentRecord(address_key=person, scope=LIST, idempotency_key="k1"),
        )
    assert [field.field for field in refused.value.fields] == ["consents[1].idempotency_key"]


@promise("S8")
async def test_killed_between_ledger_and_bus_the_relay_publishes_every_event(world: World) -> None:
    world.bus.hanging = True
    call = asyncio.create_task(world.record(*rows(world, 700)))
    while await world.stores["consent"].collection("ledger").count() < 700:
        await asyncio.sleep(0.01)
    call.cancel()
    await world.restart()
    assert await world.published() == []
    world.clock_ahead_us = 10_000_000
    assert await world.relay.sweep() == 700
    assert {event.address_key for event in await world.events()} == {world.person(str(number)) for number in range(700)}
    assert await open_intents(world) == 0


async def test_an_intent_of_a_call_that_wrote_nothing_publishes_nothing_of_others(world: World) -> None:
    await world.record(*rows(world, 3))
    world.bus.hanging = True
    call = asyncio.create_task(world.record(*rows(world, 4, key="other")))
    while await world.stores["consent"].collection("ledger").count() < 7:
        await asyncio.sleep(0.01)
    call.cancel()
    await world.restart()
    world.clock_ahead_us = 10_000_000
    await world.relay.sweep()
    events = await world.events()
    assert len(events) == len({event.event_id for event in events}) == 7


async def test_with_the_bus_down_consents_are_recorded_and_published_later(world: World) -> None:
    world.bus.down = True
    assert (await world.record(*rows(world, 10))).recorded == 10
    world.bus.down = False
    world.clock_ahead_us = 10_000_000
    assert await world.relay.sweep() == 10


@promise("M6")
async def test_an_import_never_lifts_an_opt_out_but_is_recorded(world: World) -> None:
    person = world.person("0")
    await world.record(*rows(world, 1))
    await world.withdraw(person)
    assert (await world.record(*rows(world, 1, key="imp_2"))).recorded == 1
    answer = await world.decide(person)
    reasons = answer.verdicts[answer.decisions[0].verdict].reasons
    assert (answer.decisions[0].allow, [reason.code for reason in reasons]) == (False, ["SUPPRESSED_TOPIC"])


async def test_a_fresh_express_consent_reopens_its_list_whatever_the_clocks_say(world: World) -> None:
    person = world.person("ada")
    world.clock_ahead_us = 60_000_000  # the instance that took the withdrawal was a minute ahead
    await world.withdraw(person)
    world.clock_ahead_us = 0
    await world.given(person, route=pb.ROUTE_PAGE)
    assert await world.allowed(person)


@promise("M6")
async def test_a_withdrawal_closes_though_the_consent_came_from_a_clock_ahead(world: World) -> None:
    person = world.person("ada")
    world.clock_ahead_us = 60_000_000
    await world.given(person)
    world.clock_ahead_us = 0
    await world.withdraw(person)
    assert not await world.allowed(person)
    given, withdrawn = (await world.listed(person)).events
    assert withdrawn.at.ToMicroseconds() >= given.at.ToMicroseconds()


async def test_a_consent_given_before_the_withdrawal_or_in_the_future_reopens_nothing(world: World) -> None:
    person = world.person("ada")
    await world.withdraw(person)
    await world.given(person, given_at=timestamp(world.now_us() - 3_600_000_000))
    assert not await world.allowed(person)
    with pytest.raises(Invalid) as refused:
        await world.given(person, given_at=timestamp(world.now_us() + 3_600_000_000))
    assert [field.field for field in refused.value.fields] == ["consents[0].given_at"]


@promise("G2")
async def test_the_record_says_when_from_where_with_which_words_and_by_whom(world: World) -> None:
    world.caller = Caller("ten_1", Actor("api_key", "key_1"), on_behalf_of=Actor("user", "usr_1"))
    person = world.person("ada")
    wording = "Yes, send me the newsletter."
    given_at = timestamp(world.now_us() - 5_000_000)
    await world.given(
        person, wording=wording, source="sign-up form", given_at=given_at, route=pb.ROUTE_PAGE, sealed_proof_evidence=b"sealed"
    )
    [event] = (await world.listed(person)).events
    digest = hashlib.sha256(wording.encode()).digest()
    assert (event.source, event.notice_hash, event.at, event.route) == ("sign-up form", digest, given_at, pb.ROUTE_PAGE)
    assert (event.actor.id, event.on_behalf_of.id, event.sealed_proof_evidence) == ("key_1", "usr_1", b"sealed")
    notice = await world.stores["consent"].collection(NOTICES.name).get(f"ten_1/{digest.hex()}")
    assert notice is not None
    assert notice["wording"] == wording


async def test_a_wrong_row_refuses_the_call_and_names_its_field(world: World) -> None:
    person = world.person("ada")
    wrong = {
        "consents[1].address_key": pb.ConsentRecord(address_key=b"short", scope=LIST),
        "consents[1].scope": pb.ConsentRecord(address_key=person, scope=pb.Scope()),
        "consents[1].route": pb.ConsentRecord(address_key=person, scope=LIST, route=pb.ROUTE_ONE_CLICK),
        "consents[1].notice_hash": pb.ConsentRecord(address_key=person, scope=LIST, wording="a", notice_hash=b"b" * 32),
        "consents[1].idempotency_key": pb.ConsentRecord(address_key=person, scope=LIST, idempotency_key="k" * 201),
        "consents[1]": pb.ConsentRecord(scope=LIST),
    }
    for field, record in wrong.items():
        with pytest.raises(Invalid) as refused:
            await world.record(pb.ConsentRecord(address_key=person, scope=LIST), record)
        assert [one.field for one in refused.value.fields] == [field]
    assert await world.events() == []


async def test_events_are_listed_in_pages_and_only_to_their_own_customer(world: World) -> None:
    person = world.person("ada")
    await world.record(*(pb.ConsentRecord(address_key=person, scope=pb.Scope(list_id=f"lst_{number}")) for number in range(7)))
    versions: list[int] = []
    token = ""
    while True:
        page = await world.listed(person, page_size=3, page_token=token)
        versions += [event.version for event in page.events]
        token = page.next_page_token
        if not token:
            break
    assert versions == [1, 2, 3, 4, 5, 6, 7]
    with world.tenant("ten_other"):
        assert (await world.listed(person)).events == []
    with pytest.raises(Invalid):
        await world.listed(person, page_token="x' OR 1=1")
