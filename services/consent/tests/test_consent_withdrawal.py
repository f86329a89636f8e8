"""A person says stop: what is answered, whatever fails around it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from postlaw.consent.v1 import consent_pb2 as pb
from postlaw_common.errors import Conflict, Invalid, NotFound, PostlawError
from postlaw_common.store import StoreUnavailable
from postlaw_common.testing.patience import patience, until
from postlaw_common.testing.promises import promise
from postlaw_consent.afterwards import Afterwards
from postlaw_consent.answers import ANSWERS_DUE, Answers
from postlaw_consent.ledger import LEDGER

if TYPE_CHECKING:
    from .world import World

EVERYTHING = pb.Scope(everything=True)


async def settled(world: World, answers: int) -> None:
    """Waits for the work after an answer: the answer's own event and the noted offset."""

    async def is_done() -> bool:
        pending = await world.stores["consent"].collection(LEDGER.name).count("pending", "1")
        return pending == 0 and len(await world.answers()) >= answers

    await until(is_done)


@promise("M6")
async def test_stopped_is_answered_when_sending_says_so_at_the_events_own_place(world: World) -> None:
    person = world.person("ada")
    await world.given(person)
    receipt = await world.by_token(await world.token(person))
    assert receipt.outcome == pb.OUTCOME_STOPPED
    [asked] = world.sending.asked
    [record] = [record for record in await world.published() if pb.ConsentEvent.FromString(record.value).event_id == receipt.event_id]
    assert (asked.partition, asked.offset) == (record.partition, record.offset)
    assert asked.scope == receipt.scope == pb.Scope(list_id="lst_1")
    assert not await world.allowed(person)


@pytest.mark.parametrize("mode", ["recorded", "fail", "hang", "unknown"])
async def test_whatever_sending_does_the_withdrawal_is_recorded(world: World, mode: str) -> None:
    await world.answering_within_a_second()
    person = world.person("ada")
    await world.given(person)
    world.sending.mode = mode
    receipt = await world.withdraw(person)
    assert receipt.outcome == pb.OUTCOME_RECORDED
    assert not await world.allowed(person)


@promise("M5")
async def test_a_link_needs_nobody_but_the_bus_and_two_stores(world: World) -> None:
    """No identity, no subscribers, no tenant and no list are there: only what the token says."""
    person = world.person("ada")
    await world.given(person)
    token = await world.token(person)
    assert (await world.by_token(token)).outcome == pb.OUTCOME_STOPPED
    with pytest.raises(PostlawError):  # by address somebody must say who is meant: an error, and nothing is promised
        await world.withdraw(b"", address="ada@example.com")


@promise("M6")
async def test_with_the_bus_down_the_ledger_has_it_and_the_relay_publishes_it(world: World) -> None:
    person = world.person("ada")
    await world.given(person)
    world.bus.down = True
    receipt = await world.withdraw(person)
    assert receipt.outcome == pb.OUTCOME_RECORDED
    assert world.sending.asked == []
    world.bus.down = False
    world.clock_ahead_us = 10_000_000
    assert await world.relay.sweep() == 1
    assert [event.event_id for event in await world.events()].count(receipt.event_id) == 1
    assert await world.relay.sweep() == 0


async def test_a_bus_that_never_answers_delays_the_answer_no_longer_than_agreed(world: World) -> None:
    await world.answering_within_a_second()
    person = world.person("ada")
    await world.given(person)
    world.bus.hanging = True
    assert (await world.withdraw(person)).outcome == pb.OUTCOME_RECORDED


@promise("M6")
async def test_killed_between_ledger_and_bus_the_next_start_publishes(world: World) -> None:
    await world.answering_within_a_second()
    person = world.person("ada")
    await world.given(person)
    world.bus.hanging = True
    receipt = await world.withdraw(person)
    await world.restart()
    assert receipt.event_id not in {event.event_id for event in await world.events()}
    world.clock_ahead_us = 10_000_000
    await world.relay.sweep()
    [event] = [event for event in await world.events() if event.event_id == receipt.event_id]
    assert (event.kind, event.address_key) == ("withdrawn", person)


async def test_the_same_bytes_stand_in_the_ledger_and_on_the_bus(world: World) -> None:
    person = world.person("ada")
    await world.given(person)
    await world.withdraw(person)
    pages = [page async for page in world.stores["consent"].collection(LEDGER.name).scan()]
    assert {document["event"] for page in pages for document in page} == {record.value for record in await world.published()}


async def test_without_the_ledger_nothing_is_promised(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def gone(documents: object) -> None:
        raise StoreUnavailable("taken away by the test")

    monkeypatch.setattr(world.stores["consent"].collection(LEDGER.name), "insert_many", gone)
    with pytest.raises(StoreUnavailable):
        await world.withdraw(world.person("ada"))
    assert world.sending.asked == []
    assert await world.published() == []


async def test_a_repeated_withdrawal_adds_nothing_and_waits_at_the_first_ones_place(world: World) -> None:
    person = world.person("ada")
    await world.given(person)
    token = await world.token(person)
    first = await world.by_token(token)
    await settled(world, 1)
    again = await world.by_token(token, route=pb.ROUTE_PAGE)
    assert (again.event_id, again.already_withdrawn, first.already_withdrawn) == (first.event_id, True, False)
    assert again.withdrawn_at == first.withdrawn_at
    assert world.sending.asked[0] == world.sending.asked[1]
    assert len(await world.events()) == 2


async def test_a_repetition_before_the_first_was_published_publishes_it_and_is_as_true(world: World) -> None:
    person = world.person("ada")
    await world.given(person)
    world.bus.down = True
    first = await world.withdraw(person)
    world.bus.down = False
    again = await world.withdraw(person)
    assert (again.outcome, again.event_id) == (pb.OUTCOME_STOPPED, first.event_id)
    [asked] = world.sending.asked
    [record] = await world.bus.read_range("postlaw.consent.events.v1", asked.partition, asked.offset, asked.offset + 1)
    assert pb.ConsentEvent.FromString(record.value).event_id == first.event_id


@promise("M6")
async def test_a_list_reopened_and_closed_since_gets_an_event_of_its_own(world: World) -> None:
    """An answer at the old event's place would say nothing about mail that the reopened list sent since."""
    person = world.person("ada")
    first = await world.withdraw(person, scope=EVERYTHING)
    await world.given(person, route=pb.ROUTE_PAGE)
    await world.withdraw(person)
    last = await world.withdraw(person, scope=EVERYTHING)
    assert (last.event_id != first.event_id, last.already_withdrawn) == (True, False)


async def test_a_link_can_widen_to_everything(world: World) -> None:
    person = world.person("ada")
    await world.given(person)
    await world.given(person, list_id="lst_2")
    receipt = await world.by_token(await world.token(person), everything=True)
    assert receipt.scope == EVERYTHING
    assert not await world.allowed(person)
    assert not await world.allowed(person, list_id="lst_2")


@promise("M6")
async def test_an_opt_out_moves_to_no_other_customer(world: World) -> None:
    person = world.person("ada")
    await world.given(person)
    with world.tenant("ten_other"):
        await world.given(person)
        await world.withdraw(person, scope=EVERYTHING)
        assert not await world.allowed(person)
    assert await world.allowed(person)


async def test_hundreds_at_once_for_one_person_make_one_history_without_gaps(world: World) -> None:
    person = world.person("ada")
    await asyncio.gather(*(world.withdraw(person, list_id=f"lst_{number % 7}") for number in range(60)))
    versions = sorted(event.version for event in {event.event_id: event for event in await world.events()}.values())
    assert versions == list(range(1, 8))


async def test_an_idempotency_key_gives_the_same_receipt_even_after_the_list_was_reopened(world: World) -> None:
    person = world.person("ada")
    first = await world.withdraw(person, idempotency_key="k1")
    await world.given(person, route=pb.ROUTE_PAGE)
    again = await world.withdraw(person, idempotency_key="k1")
    assert again.event_id == first.event_id
    assert await world.allowed(person)
    with pytest.raises(Conflict):
        await world.withdraw(person, list_id="lst_2", idempotency_key="k1")


async def test_what_was_answered_goes_to_the_log(world: World) -> None:
    person = world.person("ada")
    receipt = await world.withdraw(person)
    await settled(world, 1)
    [answer] = await world.answers()
    assert (answer.withdrawal, answer.address_key, answer.epoch) == (receipt, person, 7)


async def test_what_was_answered_while_the_bus_was_away_goes_to_the_log_when_it_is_back(world: World) -> None:
    person = world.person("ada")
    await world.given(person)
    world.bus.down = True
    receipt = await world.withdraw(person)
    async with patience():
        while not await world.stores["consent"].collection(ANSWERS_DUE.name).count():
            await asyncio.sleep(0.01)
    await world.restart()
    assert await Answers(lambda: world.stores["consent"].collection(ANSWERS_DUE.name), world.bus, Afterwards()).sweep() == 1
    assert [(answer.withdrawal.event_id, answer.withdrawal.outcome) for answer in await world.answers()] == [
        (receipt.event_id, pb.OUTCOME_RECORDED)
    ]
    assert await world.stores["consent"].collection(ANSWERS_DUE.name).count() == 0


async def test_a_caller_who_hangs_up_changes_nothing(world: World) -> None:
    await world.answering_within_a_second()
    person = world.person("ada")
    world.sending.mode = "hang"
    call = asyncio.create_task(world.withdraw(person))
    while not world.sending.asked:
        await asyncio.sleep(0.01)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await settled(world, 1)
    assert not await world.allowed(person)


async def test_looking_at_a_link_changes_nothing(world: World) -> None:
    person = world.person("ada")
    await world.given(person)
    token = await world.token(person)
    for withdrawn in (False, True):
        described = await world.describe(token)
        assert (described.tenant_id, described.scope) == (world.caller.tenant_id, pb.Scope(list_id="lst_1"))
        assert described.already_withdrawn is withdrawn
        if not withdrawn:
            assert len(await world.events()) == 1
            await world.by_token(token)


async def test_a_wrong_link_and_a_wrong_route_are_refused(world: World) -> None:
    person = world.person("ada")
    await world.given(person)
    with pytest.raises(Invalid) as refused:
        await world.by_token("nonsense")
    assert refused.value.type == "bad-token"
    with pytest.raises(Invalid):
        await world.by_token(await world.token(person), route=pb.ROUTE_IMPORT)
    with pytest.raises(Invalid):
        await world.withdraw(person, route=pb.ROUTE_ONE_CLICK)
    assert len(await world.events()) == 1


async def test_who_is_meant_must_be_said_and_be_known(world: World) -> None:
    with pytest.raises(Invalid):
        await world.withdraw(b"")
    with pytest.raises(Invalid):
        await world.withdraw(b"short")
    world.people["sub_1"] = world.person("ada")
    assert (await world.withdraw(b"", subscriber_id="sub_1")).event_id
    with pytest.raises(NotFound):
        await world.withdraw(b"", subscriber_id="sub_2")
