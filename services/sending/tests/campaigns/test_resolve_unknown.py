"""Recipients of whom nobody knows whether they were mailed: as the campaign's policy says, and at an operator's word."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw.sending.v1.sending_pb2_grpc import SendingServiceStub
from postlaw_common.errors import Conflict, NotFound
from postlaw_sending.campaigns.campaigns import Campaigns
from postlaw_sending.campaigns.domain.campaign import Status
from postlaw_sending.campaigns.domain.recipients import State
from postlaw_sending.campaigns.keys import KEPT_AFTER_END_US, destroy_lapsed
from postlaw_sending.returns.assembly import counts_in
from services.sending.tests.campaigns.conftest import TENANT
from services.sending.tests.campaigns.test_campaign_life import addresses, adds_up, by_id

if TYPE_CHECKING:
    from .conftest import Opened, World

C = sending.Campaign


async def resolve(world: World, campaign_id: str) -> sending.ResolveUnknownResponse:
    stub: Any = SendingServiceStub(world.mesh.channel("sending", as_service="operator"))
    return await stub.ResolveUnknown(sending.ResolveUnknownRequest(campaign_id=campaign_id))


def every_tenth_is_lost(person: sending.JobRecipient, attempt: int) -> tuple[State, str]:
    return (State.UNKNOWN, "worker_lost") if int(person.subscriber_id.removeprefix("sub_")) % 10 == 0 else (State.SENT, "")


async def with_unknown(world: World, *, again: bool) -> str:
    world.people.add_list("lst_1", range(500))
    campaign_id = (await world.draft(mail_unknown_again=again)).campaign_id
    await world.stub.LaunchCampaign(by_id(campaign_id))
    campaign = await world.until(campaign_id, C.STATUS_FINISHED, every_tenth_is_lost)
    assert (campaign.totals.sent, campaign.totals.unknown) == (450, 50)
    return campaign_id


async def listed(world: World, campaign_id: str) -> list[sending.Recipient]:
    asked = sending.ListRecipientsRequest(campaign_id=campaign_id, page_size=1_000)
    return list((await world.stub.ListRecipients(asked)).recipients)


async def test_they_are_mailed_again_where_the_campaign_says_so_and_counted_once(open_world: Opened) -> None:
    async with open_world() as world:
        campaign_id = await with_unknown(world, again=True)
        done = await resolve(world, campaign_id)
        assert (done.mailed_again, done.unknown) == (50, 0)
        assert (await resolve(world, campaign_id)).mailed_again == 0, "for one loss, nobody is planned twice"
        campaign = await world.until(campaign_id, C.STATUS_FINISHED)
        assert sorted(world.mailed) == addresses(500)
        assert (campaign.totals.audience, campaign.totals.sent, campaign.totals.unknown) == (500, 500, 0)
        assert adds_up(campaign.totals)
        recipients = await listed(world, campaign_id)
        assert len({recipient.subscriber_id for recipient in recipients}) == len(recipients) == 500
        await resolve(world, campaign_id)
        assert (await world.get(campaign_id)).status == C.STATUS_FINISHED
        assert not await world.deliver()


async def test_an_opt_out_in_between_counts(open_world: Opened) -> None:
    async with open_world() as world:
        campaign_id = await with_unknown(world, again=True)
        world.people.gone = {key for key, number in world.people.names.items() if number == 10}
        await resolve(world, campaign_id)
        campaign = await world.until(campaign_id, C.STATUS_FINISHED)
        assert (campaign.totals.sent, dict(campaign.totals.refused_by_reason)) == (499, {"no_longer_known": 1})


async def test_who_is_to_be_mailed_again_is_mailed_though_the_planner_was_about_to_finish_the_campaign(
    open_world: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had counted everybody as done, and the call found the campaign still being sent."""
    async with open_world() as world:
        answers: list[sending.ResolveUnknownResponse] = []
        change = Campaigns.change

        async def late(self: Campaigns, campaign_id: str, tenant_id: str, to: Any, actor: Any) -> Any:
            found = await self.find(campaign_id)
            if not answers and found is not None and found.status is Status.SENDING and to(found).status is Status.FINISHED:
                answers.append(sending.ResolveUnknownResponse())
                answers.append(await resolve(world, campaign_id))
            return await change(self, campaign_id, tenant_id, to, actor)

        monkeypatch.setattr(Campaigns, "change", late)
        world.people.add_list("lst_1", range(500))
        campaign_id = (await world.draft(mail_unknown_again=True)).campaign_id
        await world.stub.LaunchCampaign(by_id(campaign_id))
        campaign = await world.until(
            campaign_id, C.STATUS_FINISHED, lambda person, attempt: (State.SENT, "") if answers else every_tenth_is_lost(person, attempt)
        )
        assert answers[-1].mailed_again == 50
        assert sorted(world.mailed) == addresses(500)
        assert campaign.totals.sent == 500


async def test_a_call_that_was_cut_off_is_made_again(open_world: Opened) -> None:
    class CutOff(Exception):
        pass

    async with open_world() as world:
        campaign_id = await with_unknown(world, again=True)
        resolving = world.reopened().resolve_unknown
        kept = vars(resolving)["_kept"]
        put = kept.put
        calls = 0

        async def once(*said: Any) -> None:
            nonlocal calls
            calls += 1
            if calls == 2:
                raise CutOff
            await put(*said)

        kept.put = once
        with pytest.raises(CutOff):
            await resolving(campaign_id)
        await resolve(world, campaign_id)
        campaign = await world.until(campaign_id, C.STATUS_FINISHED)
        assert sorted(world.mailed) == addresses(500)
        assert adds_up(campaign.totals)


async def test_they_stay_where_nobody_said_so_and_once_the_key_is_gone(open_world: Opened) -> None:
    ahead = [0]
    async with open_world(now_us=lambda: time.time_ns() // 1000 + ahead[0]) as world:
        campaign_id = await with_unknown(world, again=False)
        assert (await resolve(world, campaign_id)).unknown == 50
        assert (await world.get(campaign_id)).totals.unknown == 50
        with pytest.raises(NotFound):
            await resolve(world, "cmp_none")
        world.mailed.clear()
        late = await with_unknown(world, again=True)
        ahead[0] = KEPT_AFTER_END_US + 1_000_000
        await _destroy(world)
        with pytest.raises(Conflict):
            await resolve(world, late)


async def test_nobody_is_mailed_again_once_who_was_is_forgotten(open_world: Opened) -> None:
    """A process that ends between the two writes of destroy_lapsed leaves the key and no memory of who was planned anew."""
    ahead = [0]
    async with open_world(now_us=lambda: time.time_ns() // 1000 + ahead[0]) as world:
        campaign_id = await with_unknown(world, again=True)
        await resolve(world, campaign_id)
        await world.until(campaign_id, C.STATUS_FINISHED)
        ahead[0] = KEPT_AFTER_END_US + 1_000_000
        await vars(world.parts.resolve_unknown)["_kept"].forget(campaign_id)
        with pytest.raises(Conflict):
            await resolve(world, campaign_id)
        assert not await world.deliver()


async def test_what_is_held_back_after_its_end_mails_nobody_again(open_world: Opened) -> None:
    async with open_world() as world:
        campaign_id = await with_unknown(world, again=True)
        await counts_in(world.platform, "sending")[0].hold(TENANT, campaign_id, "complaints")
        with pytest.raises(Conflict, match="held back"):
            await resolve(world, campaign_id)
        assert (await world.get(campaign_id)).totals.unknown == 50
        assert not await world.deliver()


async def _destroy(world: World) -> None:
    """What the background does every ten minutes."""
    keys = vars(world.parts.resolve_unknown)["_keys"]

    async def forget(campaign_id: str) -> None:
        return

    await destroy_lapsed(keys, world.parts.campaigns, world.platform.now_us(), forget)
