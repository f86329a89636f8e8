"""The ledger held against the bus and against what opt-outs are decided by: each kind of difference is found, and named by its ids."""

from __future__ import annotations

from typing import Any

import pytest

from postlaw_common.bus import Record
from postlaw_common.reconciling import Difference
from postlaw_common.testing.promises import promise
from postlaw_consent.ledger import LEDGER
from postlaw_consent.outgoing import EVENTS
from postlaw_consent.reconciling import LedgerChecks
from postlaw_consent.standings import SNAPSHOTS
from postlaw_consent.wire import decode
from services.consent.tests.world import World

ANN = "ann@example.com"


def ledger(world: World) -> Any:
    return world.stores["consent"].collection(LEDGER.name)


def checks(world: World, before_us: int = 1 << 60) -> LedgerChecks:
    kept = world.stores["consent"]
    return LedgerChecks(
        lambda: ledger(world), lambda: kept.collection(SNAPSHOTS.name), world.bus, decode, lambda: world.generation, lambda: before_us
    )


async def found(world: World, before_us: int = 1 << 60) -> list[Difference]:
    return [one for check in checks(world, before_us).all() async for step in check.look("") for one in step.differences]


async def documents(world: World) -> list[Any]:
    return [document async for page in ledger(world).scan() for document in page]


@pytest.fixture
async def stopped(world: World) -> World:
    """Ann agreed, and said stop."""
    await world.given(world.person(ANN))
    await world.withdraw(world.person(ANN))
    await world.given(world.person("ben@example.com"))
    assert await found(world) == []
    return world


@promise("S8", "M6")
async def test_an_opt_out_that_is_gone_from_the_ledger_is_named(stopped: World) -> None:
    [ended] = [one for one in await documents(stopped) if one["_id"].endswith("00000002")]
    await ledger(stopped).delete(ended["_id"])
    [gone] = await found(stopped)
    assert (gone.what, gone.ids[2]) == ("an event on the bus that the ledger lacks", ended["_id"])


@promise("S8", "M6")
async def test_bytes_on_the_bus_that_are_no_event_are_named_and_stop_no_look(stopped: World) -> None:
    await stopped.bus.publish([Record(EVENTS.name, 0, b"\xff\xff")])
    [unread] = await found(stopped)
    assert (unread.what, unread.ids[0].partition("@")[0]) == ("an event on the bus that cannot be read", f"{EVENTS.name}/0")


@promise("S8", "M6")
async def test_a_history_with_a_hole_is_named(stopped: World) -> None:
    await ledger(stopped).delete(f"{await ended(stopped)}/00000001")
    assert "a history without its event 1" in [one.what for one in await found(stopped)]


async def ended(world: World) -> str:
    """Ann's name in the ledger."""
    return next(one["_id"] for one in await documents(world) if one["_id"].endswith("00000002"))[:-9]


@promise("S8", "M6")
async def test_a_gate_that_would_decide_by_something_else_than_what_happened_is_named(stopped: World) -> None:
    given, opt_out = [one for one in await documents(stopped) if one["_id"].startswith(await ended(stopped))]
    await ledger(stopped).replace(opt_out | {"fact": given["fact"]}, version=opt_out["v"])
    [lie] = await found(stopped)
    assert lie.what == "the gate decides by something else than the event says"
    assert lie.ids == (decode(opt_out["event"]).event_id, opt_out["_id"])
    assert lie.tenant_id == stopped.caller.tenant_id


@promise("S8", "M6")
async def test_an_opt_out_that_is_not_on_the_bus_is_named(stopped: World) -> None:
    [_, opt_out] = [one for one in await documents(stopped) if one["_id"].startswith(await ended(stopped))]
    never = {name: value for name, value in opt_out.items() if name not in ("offset", "generation")} | {"pending": "1"}
    kept = await ledger(stopped).replace(never, version=opt_out["v"])
    assert [one.what for one in await found(stopped)] == ["a withdrawal that never left for the bus"]
    assert await found(stopped, before_us=0) == [], "it may just be on its way"
    other = {**kept, "offset": 0, "generation": stopped.generation}
    del other["pending"]
    await ledger(stopped).replace(other, version=kept["v"])
    [elsewhere] = await found(stopped)
    assert elsewhere.what == "a withdrawal in whose place the bus has another event"


@promise("S8", "M6")
async def test_a_snapshot_that_its_history_does_not_lead_to_is_named(world: World) -> None:
    from postlaw_consent.domain.fold import Fold
    from postlaw_consent.domain.gate import go_on
    from postlaw_consent.domain.snapshot import FORM, History, to_json

    await world.given(world.person(ANN))
    await world.withdraw(world.person(ANN))
    name = await ended(world)
    history = History(Fold())
    go_on(history, [one["fact"] for one in await documents(world)])
    snapshots = world.stores["consent"].collection(SNAPSHOTS.name)
    kept = {"_id": name, "form": FORM, "fold": to_json(history.fold), "digest": history.digest}
    await snapshots.insert(dict(kept))
    assert await found(world) == []
    open_again = History(Fold())
    go_on(open_again, [(await documents(world))[0]["fact"]] * 2)
    await snapshots.replace(kept | {"fold": to_json(open_again.fold)}, version=1)
    assert [(one.what, one.ids) for one in await found(world)] == [("a snapshot that its history does not lead to", (name,))]
