"""A campaign from the draft to the last recipient's final state, through gRPC, planner and projection."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.errors import Conflict, Invalid, NotFound
from postlaw_common.testing.patience import patience
from postlaw_sending.campaigns.domain.recipients import CAMPAIGN_CANCELLED, CAMPAIGN_PAUSED, State
from postlaw_sending.campaigns.leases import LEASES
from services.sending.tests.campaigns.played import refusal

if TYPE_CHECKING:
    from .conftest import Opened, World

C = sending.Campaign


def by_id(campaign_id: str) -> sending.GetCampaignRequest:
    return sending.GetCampaignRequest(campaign_id=campaign_id)


def addresses(count: int) -> list[str]:
    return sorted(f"p{number}@example.com" for number in range(count))


def adds_up(totals: sending.Totals) -> bool:
    states = totals.sent + totals.refused + totals.failed + totals.bounced + totals.expired + totals.unknown
    return totals.pending == 0 and totals.audience == states


async def settled(world: World, campaign_id: str, pending: int) -> None:
    """Until the projection has seen all that was delivered."""
    async with patience():
        while (await world.get(campaign_id)).totals.pending != pending:
            await asyncio.sleep(0.02)


async def planned(world: World, campaign_id: str, audience: int) -> None:
    """Until so many people stand in the log."""
    async with patience():
        while True:
            sealed = [batch for partition in range(world.bus.partitions) for batch in await world.records(partition)]
            if sum(batch.size for batch in sealed if batch.campaign_id == campaign_id) == audience:
                return
            await asyncio.sleep(0.02)


async def held(world: World, campaign_id: str) -> bool:
    """Whether a planner has taken the campaign on."""
    lease = await world.store.collection(LEASES.name).get(campaign_id)
    return lease is not None and lease["owner"] is not None


async def test_a_campaign_reaches_everyone_once_and_its_states_add_up(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", range(3_000))
        refused = {key for key, number in world.people.names.items() if number % 10 == 0}
        world.law.verdicts = dict.fromkeys(refused, refusal("SUPPRESSED_TOPIC"))
        campaign_id = await world.launched()
        campaign = await world.until(campaign_id, C.STATUS_FINISHED)
        assert sorted(world.mailed) == sorted(f"p{number}@example.com" for number in range(3_000) if number % 10)
        totals = campaign.totals
        assert (totals.audience, totals.sent, totals.refused, totals.audience_complete) == (3_000, 2_700, 300, True)
        assert dict(totals.refused_by_reason) == {"SUPPRESSED_TOPIC": 300}
        people = [person for batch in world.batches.values() for person in batch]
        assert not any(person.address or person.fields for person in people if person.refusals)
        assert all(person.opt_out_token for person in people if not person.refusals)


async def test_an_empty_list_finishes_at_once(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", [])
        campaign = await world.until(await world.launched(), C.STATUS_FINISHED)
        assert campaign.totals.audience == 0


async def test_each_move_is_announced_once_and_finishing_too(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", range(300))
        campaign_id = await world.launched()
        await world.stub.LaunchCampaign(by_id(campaign_id))  # a repeated request
        await world.stub.PauseCampaign(by_id(campaign_id))
        await world.stub.ResumeCampaign(by_id(campaign_id))
        await world.until(campaign_id, C.STATUS_FINISHED)
        async with patience():  # the last is published after the write that tells the status
            while len(told := await world.events("postlaw.sending.campaigns.v1")) < 5:
                await asyncio.sleep(0.02)
        changes = [sending.CampaignChanged.FromString(event.data) for event in told]
        statuses = [C.STATUS_DRAFT, C.STATUS_SENDING, C.STATUS_PAUSED, C.STATUS_SENDING, C.STATUS_FINISHED]
        assert [(change.version, change.status) for change in changes] == list(enumerate(statuses, 1))
        assert (await world.get(campaign_id)).version == 5


async def test_who_waits_when_a_campaign_is_paused_gets_it_after_it_resumes(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", range(1_000))
        campaign_id = await world.launched()
        await planned(world, campaign_id, 1_000)
        await world.stub.PauseCampaign(by_id(campaign_id))
        await world.deliver(lambda person, attempt: (State.DEFERRED, CAMPAIGN_PAUSED))
        await settled(world, campaign_id, 1_000)
        await asyncio.sleep(0.3)
        assert not await world.deliver(), "nothing may be planned while it is paused"
        waiting = await world.stub.ListRecipients(
            sending.ListRecipientsRequest(campaign_id=campaign_id, state=sending.RECIPIENT_STATE_DEFERRED, page_size=1000)
        )
        assert len(waiting.recipients) == 1_000
        await world.stub.ResumeCampaign(by_id(campaign_id))
        campaign = await world.until(campaign_id, C.STATUS_FINISHED)
        assert sorted(world.mailed) == addresses(1_000)
        assert campaign.totals.sent == campaign.totals.audience == 1_000


async def test_a_cancelled_campaign_ends_everyone_it_had_taken_on(open_world: Opened) -> None:
    async with open_world(backlog=2) as world:
        world.people.add_list("lst_1", range(4_000))
        campaign_id = await world.launched()
        await planned(world, campaign_id, 4 * 2 * 200)
        await world.deliver(lambda person, attempt: (State.DEFERRED, "450 later"), partitions=[0, 1])
        await world.stub.CancelCampaign(by_id(campaign_id))
        campaign = await world.until(campaign_id, C.STATUS_CANCELLED, lambda person, attempt: (State.REFUSED, CAMPAIGN_CANCELLED))
        assert not world.mailed
        assert campaign.totals.audience < 4_000
        assert adds_up(campaign.totals)
        assert dict(campaign.totals.refused_by_reason) == {CAMPAIGN_CANCELLED: campaign.totals.audience}
        waited = [person for batch in world.batches.values() for person in batch if CAMPAIGN_CANCELLED in person.refusals]
        assert len(waited) == 2 * 2 * 200
        assert not any(person.address for person in waited), "nobody's data is opened for a cancelled campaign"


async def test_who_is_put_off_is_tried_again_until_a_day_has_passed(open_world: Opened) -> None:
    minutes = [0]
    async with open_world(now_us=lambda: time.time_ns() // 1000 + minutes[0] * 60_000_000) as world:
        world.people.add_list("lst_1", range(400))
        campaign_id = await world.launched()

        def verdict(person: sending.JobRecipient, attempt: int) -> tuple[State, str]:
            number = world.people.names[person.address_key]
            if number < 4:
                return State.DEFERRED, "452 mailbox full"
            return (State.SENT, "") if attempt >= number % 3 else (State.DEFERRED, "450 later")

        async with asyncio.timeout(60):
            while (campaign := await world.get(campaign_id)).status != C.STATUS_FINISHED:
                if not await world.deliver(verdict):
                    minutes[0] += 60
                await asyncio.sleep(0.1)
        assert sorted(world.mailed) == sorted(f"p{number}@example.com" for number in range(4, 400))
        assert (campaign.totals.sent, campaign.totals.expired) == (396, 4)
        assert adds_up(campaign.totals)


async def test_parts_that_are_away_make_it_wait_and_nothing_is_lost(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", range(2_000))
        world.law.away = True
        campaign_id = await world.launched()
        await asyncio.sleep(0.5)
        assert (await world.get(campaign_id)).totals.audience == 0
        world.law.away, world.people.away = False, True
        await asyncio.sleep(0.5)
        world.people.away = False
        campaign = await world.until(campaign_id, C.STATUS_FINISHED)
        assert campaign.totals.sent == 2_000
        assert sorted(world.mailed) == addresses(2_000)


async def test_a_campaign_goes_on_where_it_was_after_a_restart(open_world: Opened) -> None:
    async with open_world(backlog=2) as world:
        people = world.people
        people.add_list("lst_1", range(4_000))
        campaign_id = await world.launched()
        await planned(world, campaign_id, 4 * 2 * 200)
    async with open_world(people, backlog=2) as world:
        campaign = await world.until(campaign_id, C.STATUS_FINISHED)
        assert campaign.totals.sent == campaign.totals.audience == 4_000
        assert sorted(world.mailed) == addresses(4_000)


async def test_a_large_campaign_blocks_no_small_one_and_no_log(open_world: Opened) -> None:
    async with open_world(backlog=8) as world:
        world.people.add_list("lst_1", range(40_000))
        world.people.add_list("lst_2", range(100_000, 100_400))
        large = await world.launched("lst_1")
        await planned(world, large, 4 * 8 * 200)
        small = await world.launched("lst_2")
        async with patience():
            while not await held(world, small):
                await asyncio.sleep(0.02)
            while (await world.get(small)).totals.sent < 400:
                await world.deliver()
                await asyncio.sleep(0.1)
                for partition in range(4):
                    assert len(await world.records(partition)) - world.taken_up_to(partition) <= 8
        for partition in range(4):
            places = [sealed.campaign_id for sealed in await world.records(partition)]
            assert places.index(small) <= 24, "of 50 batches that the large one has: it was launched when the log held 8 of them"
        assert (await world.get(large)).totals.pending


async def test_a_wrong_move_is_refused_and_says_what_to_do(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", range(10))
        draft = await world.draft()
        with pytest.raises(Conflict, match="launch it first"):
            await world.stub.PauseCampaign(by_id(draft.campaign_id))
        await world.stub.CancelCampaign(by_id(draft.campaign_id))
        assert (await world.stub.CancelCampaign(by_id(draft.campaign_id))).version == 2
        with pytest.raises(Conflict, match="create a new campaign"):
            await world.stub.LaunchCampaign(by_id(draft.campaign_id))


async def test_a_draft_that_cannot_be_sent_is_refused_with_its_fields(open_world: Opened) -> None:
    async with open_world() as world:
        with pytest.raises(Invalid) as no_list:
            await world.draft("lst_none")
        assert [wrong.field for wrong in no_list.value.fields] == ["list_id"]
        world.people.add_list("lst_1", [])
        with pytest.raises(Invalid) as broken:
            await world.draft(template=sending.Template(subject="Hello {{ name", text="x"))
        assert [wrong.field for wrong in broken.value.fields] == ["template.subject"]


async def test_another_customer_sees_and_moves_nothing(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", range(10))
        campaign_id = (await world.draft()).campaign_id
        other = world.as_tenant("ten_00000000000000000000000002")
        for call in (other.GetCampaign, other.LaunchCampaign, other.PauseCampaign, other.CancelCampaign):
            with pytest.raises(NotFound):
                await call(by_id(campaign_id))
        with pytest.raises(NotFound):
            await other.ListRecipients(sending.ListRecipientsRequest(campaign_id=campaign_id))
        assert not (await other.ListCampaigns(sending.ListCampaignsRequest())).campaigns
        assert len((await world.stub.ListCampaigns(sending.ListCampaignsRequest())).campaigns) == 1


async def test_recipients_are_listed_once_each_page_by_page(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", range(1_500))
        campaign_id = await world.launched()

        def verdict(person: sending.JobRecipient, attempt: int) -> tuple[State, str]:
            return (State.BOUNCED, "550 no such user") if world.people.names[person.address_key] % 7 == 0 else (State.SENT, "")

        await world.until(campaign_id, C.STATUS_FINISHED, verdict)
        for state, wanted in ((sending.RECIPIENT_STATE_UNSPECIFIED, range(1_500)), (sending.RECIPIENT_STATE_BOUNCED, range(0, 1_500, 7))):
            listed: list[sending.Recipient] = []
            token = ""
            while True:
                page = await world.stub.ListRecipients(
                    sending.ListRecipientsRequest(campaign_id=campaign_id, state=state, page_size=130, page_token=token)
                )
                listed += page.recipients
                token = page.next_page_token
                if not token:
                    break
                assert len(page.recipients) == 130
            assert sorted(recipient.subscriber_id for recipient in listed) == sorted(f"sub_{number}" for number in wanted)
        assert {recipient.reason for recipient in listed} == {"550 no such user"}
        with pytest.raises(Invalid):
            await world.stub.ListRecipients(sending.ListRecipientsRequest(campaign_id=campaign_id, page_token="x"))
