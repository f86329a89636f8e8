"""Who is being mailed need not be read before they are stopped: a campaign has just asked about them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from postlaw.consent.v1 import consent_pb2 as pb
from postlaw_common.store import StoreUnavailable
from postlaw_common.testing.patience import until
from postlaw_common.testing.promises import promise
from postlaw_consent.ledger import LEDGER

if TYPE_CHECKING:
    from .world import World


class Reads:
    """Of the ledger, from here on."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ledger = world.stores["consent"].collection(LEDGER.name)
        self.asked: list[list[str]] = []
        self.gone = False
        self._get_many = self.ledger.get_many
        monkeypatch.setattr(self.ledger, "get_many", self.get_many)

    async def get_many(self, ids: list[str]) -> dict[str, dict[str, object]]:
        self.asked.append(list(ids))
        if self.gone:
            raise StoreUnavailable("taken away by the test")
        return await self._get_many(ids)


@promise("M6")
async def test_who_is_known_to_a_campaign_is_stopped_without_being_read_first(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    person = world.person("ada")
    await world.given(person)
    token = (await world.decide(person, bulk=True)).decisions[0].opt_out_token.decode()
    reads = Reads(world, monkeypatch)
    reads.gone = True  # nothing can be read; what is written can
    receipt = await world.by_token(token)
    reads.gone = False
    assert receipt.outcome == pb.OUTCOME_STOPPED and not receipt.already_withdrawn
    assert not await world.allowed(person)
    assert [event.kind for event in await world.events()] == ["given", "withdrawn"]


async def test_what_was_written_since_is_not_written_over(world: World) -> None:
    person = world.person("ada")
    await world.given(person)
    await world.decide(person, bulk=True)
    await world.given(person, list_id="lst_2")  # the campaign has not heard of it
    assert (await world.withdraw(person)).outcome == pb.OUTCOME_STOPPED
    assert [event.version for event in await world.events() if event.address_key == person] == [1, 2, 3]
    assert not await world.allowed(person)
    assert await world.allowed(person, list_id="lst_2")


async def test_said_twice_it_is_the_same_withdrawal(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postlaw_consent.views.CATCH_UP_AFTER_S", -1.0)
    person = world.person("ada")
    await world.given(person)
    await world.decide(person, bulk=True)
    first, second = await asyncio.gather(world.withdraw(person), world.withdraw(person))
    await world.decide(person, bulk=True)
    third = await world.withdraw(person)
    assert first.event_id == second.event_id == third.event_id
    assert sorted([first.already_withdrawn, second.already_withdrawn]) == [False, True] and third.already_withdrawn


async def test_a_key_is_looked_for_in_what_is_written(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postlaw_consent.views.CATCH_UP_AFTER_S", -1.0)
    person = world.person("ada")
    await world.given(person)
    await world.decide(person, bulk=True)
    first = await world.withdraw(person, idempotency_key="a")
    await world.given(person, route=pb.ROUTE_PAGE)  # which opens it again, so that a withdrawal would be another one
    await world.decide(person, bulk=True)
    again = await world.withdraw(person, idempotency_key="a")
    assert again.event_id == first.event_id and again.already_withdrawn


@promise("M6")
async def test_behind_a_gap_it_is_said_again(world: World) -> None:
    """A leader that fell had not told the others of the person's latest event; the campaign had read it."""
    person = world.person("ada")
    await world.given(person)
    await world.given(person, list_id="lst_2")
    await world.decide(person, bulk=True)
    ledger = world.stores["consent"].collection(LEDGER.name)
    [latest] = [document["_id"] async for page in ledger.scan() for document in page if document["_id"].endswith("/00000002")]
    await ledger.delete(latest)
    await world.withdraw(person)

    async def is_said_again() -> bool:
        return [event.version for event in await world.events() if event.kind == "withdrawn"] == [3, 2]

    await until(is_said_again)
    assert not await world.allowed(person)


@promise("M6")
async def test_with_the_store_away_a_gap_is_looked_for_until_it_is_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postlaw_consent.use_cases.withdraw_consent.AGAIN_S", 0.01)
    people = [world.person(name) for name in ("ada", "bob")]
    for person in people:
        await world.given(person)
    for person in people:
        await world.decide(person, bulk=True)
    reads = Reads(world, monkeypatch)
    reads.gone = True
    await asyncio.gather(*map(world.withdraw, people))

    async def is_asked_again() -> bool:
        return len(reads.asked) > 2

    await until(is_asked_again)
    assert all(len(ids) == 2 for ids in reads.asked)  # both within one look-up
    reads.gone = False
    tried = len(reads.asked)

    async def is_answered() -> bool:
        return len(reads.asked) == tried + 1

    await until(is_answered)
