"""An address that whoever runs the installation stops for every customer there is or will be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from postlaw.subscribers.v1 import subscribers_pb2 as pb
from postlaw_common.caller import Actor
from postlaw_common.errors import Denied, Invalid
from postlaw_common.keys.customer import CustomerKeys
from postlaw_common.ordered_text import to_text
from postlaw_common.testing.patience import patience
from postlaw_common.testing.promises import promise
from postlaw_subscribers.everywhere import Everywhere
from postlaw_subscribers.person_keys import PersonKeys
from postlaw_subscribers.use_cases import put_subscriber
from services.subscribers.tests.by_hand import put
from services.subscribers.tests.turns import ORDERS, Turns

ANN, BOB = "ann@example.com", "bob@example.com"


async def everywhere(world: Any, address: str = "Ann@Example.com", *, lift: bool = False) -> pb.SuppressedEverywhere:
    """What the operator is told at the end."""
    caller = world.mesh.caller("", ["platform:admin"], actor=Actor("operator", "operator"))
    stub = world.stub(as_service="operator", caller=caller)
    request = pb.SuppressEverywhereRequest(address=address, reason="court order", lift=lift)
    steps = [step async for step in stub.SuppressEverywhere(request)]
    assert [step.done for step in steps] == [False] * (len(steps) - 1) + [True]
    return steps[-1]


async def stopped(world: Any, address: str = ANN, *tenants: str) -> list[str]:
    """Those of these customers at whom the person is stopped."""
    found: list[str] = []
    for tenant_id in tenants or ("ten_a", "ten_b"):
        stub = world.stub(tenant_id, as_service="consent")
        key = (await stub.ResolvePerson(pb.ResolvePersonRequest(address=address))).address_key
        found += [tenant_id] if (tenant_id, key) in world.consent.everywhere else []
    return found


@promise("M6")
async def test_each_customer_who_has_the_person_stops_them_and_no_other_person(world: Any) -> None:
    for tenant_id in ("ten_a", "ten_b"):
        await put(world, ANN, tenant_id=tenant_id)
    await put(world, BOB, tenant_id="ten_c")
    done = await everywhere(world)
    assert (done.customers, done.stopped, done.recorded, done.failed) == (3, 2, 0, 0)
    assert await stopped(world, ANN, "ten_a", "ten_b", "ten_c") == ["ten_a", "ten_b"]
    assert await stopped(world, BOB, "ten_a", "ten_b", "ten_c") == []
    assert set(world.consent.everywhere.values()) == {"court order"}


@promise("M6")
async def test_what_cannot_be_confirmed_or_carried_out_at_one_customer_is_said_and_done_at_the_others(world: Any) -> None:
    for tenant_id in ("ten_a", "ten_b", "ten_c"):
        await put(world, ANN, tenant_id=tenant_id)
    world.consent.under_way.add("ten_a")
    world.consent.refusing.add("ten_b")
    done = await everywhere(world)
    assert (done.stopped, done.recorded, done.failed) == (1, 1, 1)
    world.consent.refusing.clear()
    done = await everywhere(world)
    assert (done.stopped, done.recorded, done.failed) == (2, 1, 0)


@promise("M6")
@pytest.mark.parametrize("way", ["import", "put", "join", "address change", "resolved before something opens"])
async def test_who_comes_later_to_any_customer_is_stopped_at_entry(world: Any, way: str) -> None:
    done = await everywhere(world)
    assert done.customers == 0
    for tenant_id in ("ten_a", "ten_b"):
        stub = world.stub(tenant_id, as_service="consent")
        list_id = await world.make_list(tenant_id)
        if way == "import":
            await world.imported(list_id, f"email\n{ANN}\n{BOB}\n".encode(), tenant_id=tenant_id)
        elif way == "put":
            await put(world, ANN, tenant_id=tenant_id)
        elif way == "join":
            await stub.JoinList(pb.JoinListRequest(address=ANN, list_id=list_id))
        elif way == "address change":
            was = await put(world, "new@example.com", tenant_id=tenant_id)
            await put(world, ANN, subscriber_id=was.subscriber_id, tenant_id=tenant_id)
        else:
            await stub.ResolvePerson(pb.ResolvePersonRequest(address=ANN, opening=True))
    assert await stopped(world) == ["ten_a", "ten_b"]
    assert await stopped(world, BOB) == []


@promise("M6")
@pytest.mark.parametrize("order", ORDERS, ids="".join)
async def test_whichever_comes_second_sees_the_other(world: Any, monkeypatch: pytest.MonkeyPatch, order: Sequence[str]) -> None:
    await put(world, BOB)  # a customer who is gone through
    turns = Turns(order)
    real_keys, real_meet = PersonKeys.ensure, put_subscriber.meet_suppressions
    real_put, real_customers = Everywhere.put, CustomerKeys.customers

    async def keys(*of: Any) -> Any:  # what a person is written under
        await turns.wait("w")
        return await real_keys(*of)

    async def meet(*of: Any) -> None:
        await turns.done("w")
        await turns.wait("l")
        await real_meet(*of)
        await turns.done("l")

    async def keep(*of: Any) -> Any:
        await turns.wait("k")
        kept = await real_put(*of)
        await turns.done("k")
        return kept

    async def customers(*of: Any) -> AsyncIterator[list[str]]:
        await turns.wait("s")
        async for page in real_customers(*of):
            yield page

    async def suppressed() -> None:
        await everywhere(world)
        await turns.done("s")

    monkeypatch.setattr(PersonKeys, "ensure", keys)
    monkeypatch.setattr(put_subscriber, "meet_suppressions", meet)
    monkeypatch.setattr(Everywhere, "put", keep)
    monkeypatch.setattr(CustomerKeys, "customers", customers)
    async with patience(), asyncio.TaskGroup() as both:
        both.create_task(put(world, ANN))
        both.create_task(suppressed())
    assert await stopped(world) == ["ten_a"]


@promise("M6")
async def test_what_is_lifted_is_lifted_at_each_customer_and_for_who_comes_later(world: Any) -> None:
    await put(world, ANN)
    await everywhere(world)
    done = await everywhere(world, lift=True)
    assert (done.customers, done.lifted) == (1, 1)
    await put(world, ANN, tenant_id="ten_b")
    assert await stopped(world) == []
    await everywhere(world)
    assert await stopped(world) == ["ten_a", "ten_b"]


async def test_another_process_hears_of_it_before_its_next_person(world: Any) -> None:
    store, keys = world.backing.store("subscribers"), world.backing.platform_keys
    here, there = Everywhere(store, keys), Everywhere(store, keys)
    assert not await there.all()
    await everywhere(world)
    assert len(await there.all()) == len(await here.all()) == 1
    await everywhere(world, lift=True)
    assert not await there.all()


async def test_the_address_is_kept_under_the_platforms_own_key(world: Any) -> None:
    await put(world, ANN)
    key = (await world.stub(as_service="consent").ResolvePerson(pb.ResolvePersonRequest(address=ANN))).address_key
    await everywhere(world)
    kept = world.backing.store("subscribers").collection("suppressed_everywhere")
    names = [document["_id"] async for page in kept.scan() for document in page]
    assert len(names) == 2
    assert not {ANN, to_text(key)} & set(names)


async def test_only_whoever_runs_the_installation_may_say_so_and_of_an_address(world: Any) -> None:
    request = pb.SuppressEverywhereRequest(address=ANN, reason="court order")
    for as_service in ("gateway", "operator"):
        with pytest.raises(Denied):
            _ = [step async for step in world.stub(as_service=as_service).SuppressEverywhere(request)]
    with pytest.raises(Invalid):
        await everywhere(world, "no-at-sign")
