"""Nobody gets more marketing of a customer's campaigns than its frequency cap allows."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from postlaw.consent.v1 import consent_pb2 as consent
from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.errors import Invalid
from postlaw_common.testing.patience import patience
from postlaw_common.testing.promises import promise
from postlaw_sending.campaigns.domain.recipients import State
from postlaw_sending.frequency.contacts import CONTACTS
from services.sending.tests.campaigns.played import refusal
from services.sending.tests.campaigns.test_campaign_life import adds_up, by_id, settled

if TYPE_CHECKING:
    from .conftest import Opened, World

C = sending.Campaign
DAY_US = 24 * 3_600_000_000


async def cap(world: World, messages: int, days: int) -> sending.FrequencyCap:
    return await world.stub.SetFrequencyCap(sending.FrequencyCap(messages=messages, days=days))


async def finished(world: World, list_id: str = "lst_1") -> sending.Campaign:
    return await world.until(await world.launched(list_id), C.STATUS_FINISHED)


async def contacts(world: World) -> int:
    """Messages that were counted."""
    return sum([len(document["sent"]) async for page in world.store.collection(CONTACTS.name).scan() for document in page])


async def test_who_had_enough_is_refused_and_gets_the_next_when_its_days_are_over(open_world: Opened) -> None:
    ahead = [0]
    async with open_world(now_us=lambda: time.time_ns() // 1000 + ahead[0]) as world:
        world.people.add_list("lst_1", range(300))
        world.people.add_list("lst_2", range(200, 400))
        await cap(world, 2, 7)
        assert (await finished(world)).totals.sent == 300
        assert (await finished(world, "lst_2")).totals.sent == 200
        third = await finished(world)
        assert dict(third.totals.refused_by_reason) == {"frequency-cap": 100}, "the hundred who are on both lists"
        assert adds_up(third.totals)
        refused = [person for batch in world.batches.values() for person in batch if "frequency-cap" in person.refusals]
        assert not any(person.address or person.fields or person.opt_out_token for person in refused)
        ahead[0] = 8 * DAY_US
        assert (await finished(world)).totals.sent == 300


@promise("S8", "A1")
async def test_each_change_of_a_cap_is_told_with_who_made_it(open_world: Opened) -> None:
    async with open_world() as world:
        for messages, days in ((2, 7), (2, 7), (1, 7), (0, 0)):
            await cap(world, messages, days)
        told = [sending.FrequencyCapChanged.FromString(event.data) for event in await world.events("postlaw.sending.caps.v1")]
        assert [(one.messages, one.days, one.version, one.actor.id) for one in told] == [
            (2, 7, 1, "key_test"),
            (1, 7, 2, "key_test"),
            (0, 0, 3, "key_test"),
        ]


async def test_only_what_was_sent_counts_and_only_marketing(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", range(60))
        await cap(world, 1, 7)
        world.law.verdicts = {key: refusal("SUPPRESSED_TOPIC") for key, number in world.people.names.items() if number >= 40}

        def half_bounce(person: sending.JobRecipient, attempt: int) -> tuple[State, str]:
            return (State.BOUNCED, "550") if world.people.names[person.address_key] < 20 else (State.SENT, "")

        await world.until(await world.launched(), C.STATUS_FINISHED, half_bounce)
        assert await contacts(world) == 20
        world.law.verdicts = {}
        second = await finished(world)
        assert (second.totals.sent, dict(second.totals.refused_by_reason)) == (40, {"frequency-cap": 20})
        await cap(world, 0, 0)
        await asyncio.sleep(0)
        assert (await finished(world)).totals.sent == 60


async def test_a_retry_is_no_second_message_and_is_held_against_the_cap_anew(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", range(10))
        await cap(world, 1, 7)
        campaign_id = await world.launched()
        async with patience():
            while not await world.deliver(lambda person, attempt: (State.DEFERRED, "campaign_paused")):
                await asyncio.sleep(0.05)
        await settled(world, campaign_id, 10)
        campaign = await world.until(campaign_id, C.STATUS_FINISHED)
        assert campaign.totals.sent == 10
        assert await contacts(world) == 10


async def test_a_customer_without_a_cap_costs_nothing_and_is_not_counted(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", range(10))
        await finished(world)
        assert await contacts(world) == 0
        assert (await world.stub.GetFrequencyCap(sending.GetFrequencyCapRequest())).messages == 0
        for messages, days in ((-1, 7), (2, 0), (2, 91), (5_000, 7)):
            with pytest.raises(Invalid):
                await cap(world, messages, days)
        said = await cap(world, 3, 30)
        assert said.counted_from.seconds
        assert (await cap(world, 4, 30)).counted_from == said.counted_from
        other = world.as_tenant("ten_00000000000000000000000002")
        assert (await other.GetFrequencyCap(sending.GetFrequencyCapRequest())).messages == 0


async def test_a_transactional_campaign_is_not_held_back(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", range(10))
        await cap(world, 1, 7)
        await finished(world)
        written = await world.stub.CreateTemplate(
            sending.CreateTemplateRequest(
                name="Terms",
                template_class=sending.TEMPLATE_CLASS_SERVICE,
                template=sending.Template(subject="Our terms changed", text="They changed, {{ name }}."),
            )
        )
        version = sending.TemplateVersionRequest(template_id=written.template_id, version=1)
        await world.as_approver().ApproveTemplateVersion(version)
        campaign = await world.draft(template_id=written.template_id, template_version=1)
        assert campaign.message == consent.Message(message_class="transactional", states=campaign.message.states)
        await world.stub.LaunchCampaign(by_id(campaign.campaign_id))
        assert (await world.until(campaign.campaign_id, C.STATUS_FINISHED)).totals.sent == 10
        assert await contacts(world) == 10
