"""Another provider's suppression list: thousands of people stopped in everything at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from postlaw.consent.v1 import consent_pb2 as pb
from postlaw_common.caller import acting_as
from postlaw_common.errors import Invalid
from postlaw_common.testing.promises import promise
from postlaw_consent.domain.scope import EVERYTHING
from postlaw_consent.intents import INTENTS
from postlaw_consent.ledger import LEDGER

if TYPE_CHECKING:
    from .world import World


async def suppress(world: World, people: Sequence[bytes], key: str = "suppress/imp_1") -> list[int]:
    request = pb.SuppressManyRequest(address_keys=people, source="the old provider", sealed_attestation=b"sealed", idempotency_key=key)
    with acting_as(world.caller):
        return list((await world.consent.SuppressMany(request, None)).already_suppressed)


@promise("M6")
async def test_whoever_is_on_the_list_may_not_be_mailed_whether_known_before_or_not(world: World) -> None:
    known, unknown = world.person("1"), world.person("2")
    await world.given(known)
    assert await world.allowed(known)
    assert await suppress(world, [known, unknown]) == []
    assert [await world.allowed(person) for person in (known, unknown)] == [False, False]
    told = {event.address_key: event for event in await world.events() if event.kind == "withdrawn"}
    assert set(told) == {known, unknown}
    for event in told.values():
        assert (event.scope, event.route, event.source, event.sealed_attestation) == (EVERYTHING, "import", "the old provider", b"sealed")


@promise("M6")
async def test_no_import_after_the_list_opens_anybody_on_it(world: World) -> None:
    person = world.person("1")
    await suppress(world, [person])
    await world.record_of_many([person])
    assert not await world.allowed(person)


async def test_whoever_is_stopped_already_gets_no_second_event(world: World) -> None:
    asked = [world.person(str(number)) for number in range(4)]
    await world.withdraw(asked[0], scope=pb.Scope(everything=True))
    await world.withdraw(asked[1], kind=pb.ConsentEvent.KIND_COMPLAINED)
    await world.withdraw(asked[2])  # of one list alone
    assert await suppress(world, asked) == [0, 1]
    assert [len((await world.listed(person)).events) for person in asked] == [1, 1, 2, 1]


async def test_the_same_call_again_adds_nothing_and_answers_the_same(world: World) -> None:
    asked = [world.person(str(number)) for number in range(300)]
    await world.withdraw(asked[7], scope=pb.Scope(everything=True))
    assert await suppress(world, asked[:200]) == [7]
    assert await suppress(world, asked) == [7]
    assert len(await world.events()) == 300
    assert await suppress(world, asked, key="suppress/imp_2") == list(range(300)), "by another import they were stopped before"
    assert len(await world.events()) == 300


async def test_who_came_back_of_their_own_accord_is_stopped_again_by_a_later_list_but_not_by_a_repetition(world: World) -> None:
    person = world.person("1")
    await suppress(world, [person])
    await world.given(person, scope=pb.Scope(everything=True), route=pb.ROUTE_PAGE)
    assert await world.allowed(person)
    assert await suppress(world, [person]) == []
    assert await world.allowed(person)
    assert await suppress(world, [person], key="suppress/imp_2") == []
    assert not await world.allowed(person)


@promise("S8")
async def test_killed_between_ledger_and_bus_the_relay_publishes_every_opt_out(world: World) -> None:
    asked = [world.person(str(number)) for number in range(300)]
    world.bus.hanging = True
    call = asyncio.create_task(suppress(world, asked))
    while await world.stores["consent"].collection(LEDGER.name).count() < 300:
        await asyncio.sleep(0.01)
    call.cancel()
    await world.restart()
    world.clock_ahead_us = 10_000_000
    assert await world.relay.sweep() == 300
    assert {event.address_key for event in await world.events()} == set(asked)
    assert await world.stores["consent"].collection(INTENTS.name).count() == 0


async def test_a_person_named_twice_is_refused(world: World) -> None:
    for keys in ([world.person("1")] * 2, [b"short"]):
        with pytest.raises(Invalid):
            await suppress(world, keys)
    assert await world.events() == []
