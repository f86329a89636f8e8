"""Clocks that act: an implied consent that has run out is told once, in time, and customers see what will."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from postlaw.consent.v1 import consent_pb2 as pb
from postlaw_common.caller import acting_as
from postlaw_common.errors import Invalid
from postlaw_common.testing.promises import promise
from postlaw_consent.expiries import EXPIRIES, Expiries
from postlaw_consent.ledger import LEDGER, Ledger
from postlaw_consent.outgoing import Outgoing
from postlaw_consent.use_cases.expire_consents import CLOCK, ExpireConsents
from postlaw_consent.wire import decode, encode, microseconds, timestamp
from postlaw_law.clocks import microseconds as instant_us
from postlaw_law.loading import the_law

if TYPE_CHECKING:
    from .world import World

DAY = 86_400_000_000
BOUGHT = instant_us(datetime(2026, 3, 10, 15, tzinfo=UTC))
ENDS = instant_us(datetime(2028, 3, 11, 5, tzinfo=UTC))  # two years, to the end of the anniversary in Toronto


@pytest.fixture
def canada(world: World) -> World:
    world.identity.stands.territory, world.identity.stands.time_zone = "CA", "America/Toronto"
    world.stand_still()
    at(world, BOUGHT + DAY)
    return world


def at(world: World, instant_us: int) -> None:
    world.clock_ahead_us += instant_us - world.now_us()


def expire(world: World, law: str = "") -> ExpireConsents:
    store = world.stores["consent"]
    return ExpireConsents(
        ledger=Ledger(lambda: store.collection(LEDGER.name), encode, decode, lambda: world.placement),
        expiries=Expiries(lambda: store.collection(EXPIRIES.name)),
        clock=lambda: store.collection(CLOCK.name),
        outgoing=Outgoing(world.bus),
        generation=lambda: world.generation,
        law=replace(the_law(), version=law) if law else the_law(),
        sender_of=world.senders.get,
        now_us=world.now_us,
    )


async def bought(world: World, person: bytes, when_us: int = BOUGHT, relationship: str = "purchase", **more: Any) -> str:
    particulars = pb.Particulars(relationship=relationship, territories=["CA"], **more)
    kind, scope = pb.ConsentEvent.KIND_IMPLIED, pb.Scope(everything=True)
    answer = await world.given(person, scope=scope, kind=kind, particulars=particulars, given_at=timestamp(when_us), source="a till")
    return answer.event_ids[0]


async def expiring(world: World, **more: Any) -> pb.ListExpiringResponse:
    with acting_as(world.caller):
        return await world.consent.ListExpiring(pb.ListExpiringRequest(**more), None)


async def told(world: World) -> list[tuple[str, int]]:
    return [(event.particulars.refers_to, event.particulars.refers_to_version) for event in await world.events() if event.kind == "expired"]


@promise("M8")
async def test_the_end_of_an_implied_consent_is_told_once_and_not_a_second_early(canada: World) -> None:
    event_id = await bought(canada, person := canada.person("ada"))
    sweep = expire(canada).sweep
    await sweep()
    at(canada, ENDS - 1)
    assert await sweep() == 0
    assert await canada.allowed(person)
    at(canada, ENDS)
    assert not await canada.allowed(person)
    assert await sweep() == 1
    assert await sweep() == 0
    assert await told(canada) == [(event_id, 1)]
    await bought(canada, person, ENDS)
    assert await canada.allowed(person)


async def test_a_later_purchase_is_a_clock_of_its_own(canada: World) -> None:
    person = canada.person("ada")
    await bought(canada, person)
    await bought(canada, person, BOUGHT + DAY)
    sweep = expire(canada).sweep
    await sweep()
    at(canada, ENDS)
    assert await sweep() == 1
    assert await canada.allowed(person)
    at(canada, ENDS + DAY)
    assert await sweep() == 1
    assert not await canada.allowed(person)


async def test_what_runs_has_no_clock_until_it_ends_and_what_is_invalid_has_none(canada: World) -> None:
    ada, bob = canada.person("ada"), canada.person("bob")
    await bought(canada, ada, relationship="contract")
    event_id = await bought(canada, bob)
    await canada.withdraw(bob, kind=pb.ConsentEvent.KIND_INVALIDATED, particulars=pb.Particulars(refers_to=event_id))
    sweep = expire(canada).sweep
    await sweep()
    assert await canada.stores["consent"].collection(EXPIRIES.name).count() == 0
    await bought(canada, ada, relationship="contract", ended_at=timestamp(BOUGHT))
    await sweep()
    at(canada, ENDS)
    assert await sweep() == 1
    assert not await canada.allowed(ada)


@promise("M8")
async def test_customers_see_what_ends_within_thirty_sixty_and_ninety_days(canada: World) -> None:
    people = [canada.person(str(number)) for number in range(4)]
    for person, later in zip(people, (20, 50, 80, 200), strict=True):
        await bought(canada, person, BOUGHT + later * DAY - 200 * DAY)
    await expire(canada).sweep()
    at(canada, ENDS - 200 * DAY)
    answer = await expiring(canada)
    assert (answer.within_30_days, answer.within_60_days, answer.within_90_days) == (1, 2, 3)
    assert [one.address_key for one in answer.expiring] == people[:3]
    first = await expiring(canada, page_size=2)
    second = await expiring(canada, page_size=2, page_token=first.next_page_token)
    assert [one.address_key for one in (*first.expiring, *second.expiring)] == people[:3]
    assert second.next_page_token == ""
    assert [one.address_key for one in (await expiring(canada, within_days=55)).expiring] == people[:2]
    assert ENDS - DAY < microseconds((await expiring(canada, within_days=366)).expiring[3].expires_at) < ENDS + DAY
    with canada.tenant("ten_other"):
        assert not (await expiring(canada)).expiring
    with pytest.raises(Invalid):
        await expiring(canada, within_days=1000)


async def test_days_without_any_instance_lose_no_end(canada: World) -> None:
    for name in "abc":
        await bought(canada, canada.person(name), BOUGHT - ord(name) * DAY)
    await expire(canada).sweep()
    at(canada, ENDS + 120 * DAY)
    assert await expire(canada).sweep() == 3


async def test_another_law_moves_what_is_still_to_come(canada: World) -> None:
    await bought(canada, canada.person("ada"))
    await expire(canada).sweep()
    expiries = canada.stores["consent"].collection(EXPIRIES.name)
    [due] = await expiries.find("day", "2028-03-11")
    await expiries.replace(due | {"day": "2028-01-01", "tenant_day": f"{canada.caller.tenant_id}/2028-01-01", "ends": 5}, version=due["v"])
    await expire(canada).sweep()
    assert not await expiries.find("day", "2028-03-11")
    await expire(canada, law="another").sweep()
    [due] = await expiries.find("day", "2028-03-11")
    assert due["ends"] == ENDS


async def test_a_note_of_an_event_that_never_came_is_forgotten_after_a_day(canada: World) -> None:
    store = canada.stores["consent"]
    expiries = Expiries(lambda: store.collection(EXPIRIES.name))
    name = f"{canada.caller.tenant_id}/0000/{'A' * 44}/00000001"
    await expiries.note([name], canada.now_us())
    await expire(canada).sweep()
    assert await store.collection(EXPIRIES.name).get(name)
    at(canada, canada.now_us() + 2 * DAY)
    await expire(canada).sweep()
    assert await store.collection(EXPIRIES.name).get(name) is None
