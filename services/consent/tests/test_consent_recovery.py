"""Consent's database was set back to an older point: the bus gives back what it holds."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from postlaw_common.testing.promises import promise
from postlaw_consent.commands import consent
from postlaw_consent.ledger import LEDGER

if TYPE_CHECKING:
    from .world import World


async def documents(world: World) -> dict[str, dict[str, Any]]:
    """The ledger by `_id`, as far as it says what happened."""
    pages = world.stores["consent"].collection(LEDGER.name).scan()
    said = ("_id", "fact", "event")
    return {document["_id"]: {name: document[name] for name in said} async for page in pages for document in page}


async def recover(world: World, monkeypatch: pytest.MonkeyPatch) -> tuple[int, dict[str, Any]]:
    for name, value in {"BUS": "embedded:", "STORE": "sqlite:", "STATE": world.state, "PARTITIONS": "4"}.items():
        monkeypatch.setenv(f"POSTLAW_{name}", value)
    run = await asyncio.to_thread(CliRunner().invoke, consent, ["recover", "--json"])
    return run.exit_code, json.loads(run.output)


@promise("M6")
async def test_opt_outs_that_a_restored_ledger_lacks_come_back_from_the_bus(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ann, bob, eve = (world.person(name) for name in ("ann", "bob", "eve"))
    await world.record_of_many([ann, bob])
    ledger = world.stores["consent"].collection(LEDGER.name)
    copied = await documents(world)
    await world.withdraw(ann)
    await world.given(eve)
    before = await documents(world)
    for name in before.keys() - copied.keys():
        await ledger.delete(name)
    assert await world.allowed(ann), "the restored ledger does not know of the opt-out"
    await world.stop()
    assert await recover(world, monkeypatch) == (0, {"events": 4, "restored": 2, "displaced": []})
    assert await recover(world, monkeypatch) == (0, {"events": 4, "restored": 0, "displaced": []}), "it may be begun again"
    await world.start()
    assert await documents(world) == before
    assert [await world.allowed(person) for person in (ann, bob, eve)] == [False, True, True]


@promise("M6")
async def test_an_event_whose_place_was_taken_since_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = world.person("ann")
    await world.given(ann)
    receipt = await world.withdraw(ann)
    ledger = world.stores["consent"].collection(LEDGER.name)
    [newest] = [name for name in await documents(world) if name.endswith("/00000002")]
    await ledger.delete(newest)
    await world.given(ann, list_id="lst_2")
    await world.stop()
    code, found = await recover(world, monkeypatch)
    assert (code, found["displaced"]) == (3, [receipt.event_id])
    await world.start()
