"""Sealed batches, their keys, and the status that the second gate asks for."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw.subscribers.v1 import subscribers_pb2 as subscribers
from postlaw_common.errors import Invalid, NotFound
from postlaw_common.keys.customer import CustomerKeys
from postlaw_common.outbox import Outbox
from postlaw_common.testing.patience import patience
from postlaw_common.testing.promises import promise
from postlaw_sending.campaigns.campaigns import CAMPAIGN_DOCUMENTS, Campaigns
from postlaw_sending.campaigns.domain.ab_test import AbTest, Measure, Variant
from postlaw_sending.campaigns.domain.campaign import MOVES, Campaign, Move, Sender, Status, Template, WrongMove, moved
from postlaw_sending.campaigns.domain.ruling import MessageFacts
from postlaw_sending.campaigns.domain.schedule import Schedule
from postlaw_sending.campaigns.keys import CAMPAIGN_KEYS, KEPT_AFTER_END_US, CampaignKeyDestroyed, CampaignKeys, destroy_lapsed
from postlaw_sending.campaigns.wire import JOBS, campaign_from_wire, campaign_to_wire

if TYPE_CHECKING:
    from .conftest import Opened, World

C = sending.Campaign


async def first_batch(world: World) -> tuple[sending.SealedBatch, int]:
    async with patience():
        while True:
            for partition in range(world.bus.partitions):
                if records := await world.records(partition):
                    return records[0], partition
            await asyncio.sleep(0.02)


@promise("X2", "S10")
async def test_nobodys_address_stands_on_the_bus(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", range(400))
        await world.until(await world.launched(), C.STATUS_FINISHED)
        for partition in range(world.bus.partitions):
            for record in await world.bus.read_range(JOBS, partition, 0, 1000):
                assert b"@example.com" not in record.value
                assert b"tok" not in record.value


@promise("X2")
async def test_a_batch_opens_only_where_it_belongs(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", range(400))
        await world.launched()
        sealed, partition = await first_batch(world)
        assert len((await world.parts.opener.open(sealed, partition)).recipients) == sealed.size
        with pytest.raises(Invalid):
            await world.parts.opener.open(sealed, partition + 1)
        for field, value in (("batch", 7), ("attempt", 1)):
            moved_batch = sending.SealedBatch.FromString(sealed.SerializeToString())
            setattr(moved_batch, field, value)
            with pytest.raises(Invalid):
                await world.parts.opener.open(moved_batch, partition)


@promise("X2")
async def test_a_campaigns_key_is_destroyed_72_hours_after_its_end_and_not_before(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", range(10))
        campaign_id = await world.launched()
        sealed, partition = await first_batch(world)
        await world.until(campaign_id, C.STATUS_FINISHED)
        world.parts = world.reopened()  # another process, which has nothing in memory
        store = world.store
        keys = CampaignKeys(lambda: store.collection(CAMPAIGN_KEYS.name), CustomerKeys(store, world.platform.root_key))
        outbox = Outbox(world.bus, list)
        campaigns = Campaigns(lambda: store.collection(CAMPAIGN_DOCUMENTS.name), outbox, lambda: world.bus.partitions)
        campaign = await campaigns.find(campaign_id)
        assert campaign is not None
        forgotten: list[str] = []

        async def forget(campaign_id: str) -> None:
            forgotten.append(campaign_id)

        assert await destroy_lapsed(keys, campaigns, campaign.ended_at_us + KEPT_AFTER_END_US - 1, forget) == 0
        assert await keys.get(campaign.tenant_id, campaign_id)
        assert await destroy_lapsed(keys, campaigns, campaign.ended_at_us + KEPT_AFTER_END_US, forget) == 1
        assert forgotten == [campaign_id]
        with pytest.raises(CampaignKeyDestroyed):
            await keys.get(campaign.tenant_id, campaign_id)
        watching = asyncio.create_task(world.parts.watch.run())
        with pytest.raises(NotFound):
            await world.parts.opener.open(sealed, partition)
        watching.cancel()


async def test_the_watch_hears_a_pause_and_takes_what_it_never_saw_for_paused(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", range(10))
        campaign_id = await world.launched()
        watch = world.parts.watch
        assert watch.status("cmp_never") == "paused"
        assert await watch.see(campaign_id) == "sending"
        await world.stub.PauseCampaign(sending.GetCampaignRequest(campaign_id=campaign_id))
        async with patience():
            while watch.status(campaign_id) != "paused":
                await asyncio.sleep(0.01)


def test_a_page_of_the_audience_is_a_job_batch_but_for_its_name() -> None:
    """campaigns.wire.job_batch passes the bytes on without a copy in Python."""
    page, batch = subscribers.AudiencePeople.DESCRIPTOR, sending.JobBatch.DESCRIPTOR
    assert [(f.number, f.is_repeated) for f in page.fields] == [(f.number, f.is_repeated) for f in batch.fields]
    member, recipient = subscribers.AudienceMember.DESCRIPTOR, sending.JobRecipient.DESCRIPTOR
    of_recipient = {f.number: (f.name, f.type) for f in recipient.fields}
    for field in member.fields:
        assert of_recipient[field.number] == (field.name, field.type)
        if field.message_type is not None:
            entry = of_recipient[field.number]
            assert entry[0] == "fields"
            theirs = recipient.fields_by_name["fields"].message_type
            assert theirs is not None
            assert [(f.number, f.type) for f in field.message_type.fields] == [(f.number, f.type) for f in theirs.fields]


def test_a_campaign_survives_the_wire() -> None:
    campaign = Campaign(
        campaign_id="cmp_1",
        tenant_id="ten_1",
        name="June",
        list_id="lst_1",
        list_name="",
        sender=Sender("Shop", "news@shop.example", "1 Main St"),
        template=Template("s", "<p>h", "t"),
        message=MessageFacts("mixed", ("own_goods", "similar")),
        status=Status.CANCELLED,
        created_at_us=1_700_000_000_123_456,
        launched_at_us=1_700_000_001_000_000,
        ended_at_us=1_700_000_002_000_001,
        version=4,
        schedule=Schedule(1_700_000_000_500_000, "2023-11-14T22:13", "Asia/Tokyo"),
        messages_per_hour=600,
        ab_test=AbTest(
            (Variant(Template("s", "", "t"), 10), Variant(Template("x", "", "y"), 20)), Measure.OPENS, 60_000_000, 2, 5, ("user", "u")
        ),
        mail_unknown_again=True,
    )
    assert campaign_from_wire(campaign_to_wire(campaign)) == campaign


@pytest.mark.parametrize("move", list(Move))
@pytest.mark.parametrize("status", list(Status))
def test_every_move_is_in_the_table_or_refused_with_advice(move: Move, status: Status) -> None:
    there = replace(campaign_from_wire(C(status=C.STATUS_DRAFT)), status=status)
    if status in MOVES[move]:
        after = moved(there, move, 99)
        assert after.status is MOVES[move][status]
        assert (after is there) == (after.status is status)
        return
    with pytest.raises(
        WrongMove, match=r"(launch it first|unschedule or cancel it|pause or cancel it|resume or cancel it|create a new campaign)\."
    ):
        moved(there, move, 99)
