"""Histories of thousands of events: decided on from a snapshot and what came since, as the whole would be."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from postlaw.consent.v1 import consent_pb2 as pb
from postlaw_common.store import Document
from postlaw_common.testing.patience import until
from postlaw_common.testing.promises import promise
from postlaw_consent import standings
from postlaw_consent.ledger import FIRST_VERSIONS, LEDGER, begin_of
from postlaw_consent.standings import SNAPSHOTS

if TYPE_CHECKING:
    from .world import World


async def long(world: World, person: bytes, events: int) -> None:
    """Consents to as many lists; the last is lst_1."""
    lists = [*range(events - 1, 0, -1), 1]
    for begin in range(0, events, 500):
        await world.record(*(pb.ConsentRecord(address_key=person, scope=pb.Scope(list_id=f"lst_{n}")) for n in lists[begin : begin + 500]))


async def snapshot(world: World, person: bytes) -> Document | None:
    name = begin_of(world.caller.tenant_id, world.partition(person), person)
    return await world.stores["consent"].collection(SNAPSHOTS.name).get(name)


async def taken(world: World, person: bytes) -> None:
    """Returns once there is one."""

    async def is_there() -> bool:
        return await snapshot(world, person) is not None

    await until(is_there)


@promise("M6")
async def test_what_came_after_a_snapshot_counts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    person = world.person("ada")
    await long(world, person, 260)
    assert await world.allowed(person)
    await taken(world, person)
    read: list[int] = []
    go_on = standings.go_on
    monkeypatch.setattr(standings, "go_on", lambda history, texts: read.append(history.fold.version) or go_on(history, texts))
    assert await world.allowed(person)
    assert not read
    receipt = await world.withdraw(person)
    assert not await world.allowed(person)
    assert read == [260]
    assert await world.allowed(person, list_id="lst_200")
    assert not receipt.already_withdrawn


async def test_a_snapshot_and_the_whole_history_are_the_same_inputs(world: World) -> None:
    person = world.person("ada")
    await long(world, person, 260)
    world.stand_still()
    whole = (await world.decide(person)).inputs_hash
    await taken(world, person)
    assert (await world.decide(person)).inputs_hash == whole
    assert (await world.decide(person, bulk=True)).inputs_hash == whole


async def test_an_ordinary_history_has_no_snapshot(world: World) -> None:
    person = world.person("ada")
    await long(world, person, 40)
    assert await world.allowed(person)
    await asyncio.sleep(0.5)
    assert await snapshot(world, person) is None


async def test_a_snapshot_spares_reading_what_it_holds(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    person = world.person("ada")
    await long(world, person, 260)
    assert await world.allowed(person)
    await taken(world, person)
    ledger = world.stores["consent"].collection(LEDGER.name)
    asked: list[str] = []
    get_many = ledger.get_many

    async def noted(ids: Sequence[str]) -> dict[str, Document]:
        asked.extend(ids)
        return await get_many(ids)

    monkeypatch.setattr(ledger, "get_many", noted)
    assert await world.allowed(person)
    assert len(asked) == FIRST_VERSIONS + 1  # the first ones show that the history is long, the other that nothing came since
