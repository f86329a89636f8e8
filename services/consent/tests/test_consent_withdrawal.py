"""A person says stop: what is answered, whatever fails around it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from postlaw.consent.v1 import consent_pb2 as pb
from postlaw_common.testing.promises import promise

if TYPE_CHECKING:
    from conftest import World


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


@pytest.mark.parametrize("mode", ["recorded", "fail", "hang"])
async def test_whatever_sending_does_the_withdrawal_is_recorded(world: World, mode: str) -> None:
    person = world.person("ada")
    await world.given(person)
    world.sending.mode = mode
    receipt = await world.withdraw(person)
    assert receipt.outcome == pb.OUTCOME_RECORDED
    assert not await world.allowed(person)
