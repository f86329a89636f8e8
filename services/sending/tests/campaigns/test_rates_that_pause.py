"""Who is complained about, or mails the dead, sends nothing more until an operator has looked."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw.sending.v1.sending_pb2_grpc import SendingServiceStub
from postlaw_common.errors import Conflict, NotFound
from postlaw_common.testing.promises import promise
from postlaw_sending.returns.assembly import counts_in
from postlaw_sending.returns.judging import CameBack, Judging
from postlaw_sending.returns.rates import Figures, judged
from postlaw_sending.returns.returned import Class

from .conftest import TENANT
from .test_campaign_life import by_id, planned

if TYPE_CHECKING:
    from .conftest import Opened, World

C = sending.Campaign


@pytest.mark.parametrize(
    ("figures", "level", "what"),
    [
        (Figures(999, 0, 900, 0), "", ""),  # of too few
        (Figures(10_000, 0, 9, 0), "", ""),
        (Figures(10_000, 0, 10, 0), "warn", "complaints: 10 of 10000"),
        (Figures(10_000, 0, 20, 0), "pause", "complaints: 20 of 10000"),
        (Figures(100, 99, 0, 99), "", ""),
        (Figures(190, 10, 0, 10), "warn", "hard bounces: 10 of 200"),
        (Figures(180, 20, 0, 20), "pause", "hard bounces: 20 of 200"),
        (Figures(10_000, 0, 10, 1_000), "pause", "hard bounces: 1000 of 10000"),
    ],
)
def test_a_rate_warns_and_pauses_at_its_limits_and_says_nothing_of_few_mails(figures: Figures, level: str, what: str) -> None:
    assert judged(figures) == (level, what)


def judging(world: World) -> Judging:
    parts = world.parts
    return Judging(counts_in(world.platform, "sending"), parts.campaigns, parts.read.totals, parts.pause_senders, world.platform.now_us)


def came_back(campaign_id: str, number: int, cls: Class = "complaint") -> list[CameBack]:
    return [CameBack(TENANT, campaign_id, cls)] * number


@promise("M6")
async def test_too_many_complaints_pause_what_a_customer_sends_and_nothing_goes_on_before_an_operator_says_so(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", range(1_500))
        campaign_id = await world.launched()
        await planned(world, campaign_id, 1_500)
        for partition in range(world.bus.partitions):
            if len(world.mailed) < 1_000:
                await world.deliver(partitions=[partition])
        mailed = len(world.mailed)
        async with asyncio.timeout(30):
            while (await world.get(campaign_id)).totals.sent < mailed:
                await asyncio.sleep(0.02)

        await judging(world).count(came_back(campaign_id, 1))
        assert (await world.get(campaign_id)).status == C.STATUS_SENDING
        await judging(world).count(came_back(campaign_id, 2))
        paused = await world.get(campaign_id)
        assert (paused.status, paused.paused_because) == (C.STATUS_PAUSED, f"rate-exceeded: complaints: 3 of {mailed}")
        with pytest.raises(Conflict, match="the operator"):
            await world.stub.ResumeCampaign(by_id(campaign_id))
        with pytest.raises(Conflict, match="the operator"):
            await world.launched()

        operator: Any = SendingServiceStub(world.mesh.channel("sending", as_service="operator"))
        held = (await operator.ListHeldSending(sending.ListHeldSendingRequest())).held
        assert {one.id for one in held} == {campaign_id, TENANT}
        for one in held:
            await operator.ReleaseHeldSending(sending.ReleaseHeldSendingRequest(id=one.id))
        with pytest.raises(NotFound):
            await operator.ReleaseHeldSending(sending.ReleaseHeldSendingRequest(id=campaign_id))
        assert (await world.stub.ResumeCampaign(by_id(campaign_id))).status == C.STATUS_SENDING
        await judging(world).count(came_back(campaign_id, 1))  # counted from the release on
        assert (await world.get(campaign_id)).status == C.STATUS_SENDING
