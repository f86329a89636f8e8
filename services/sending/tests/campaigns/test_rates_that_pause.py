"""Who is complained about, or mails the dead, sends nothing more until an operator has looked."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw.sending.v1 import sending_pb2 as sending
from postlaw.sending.v1.sending_pb2_grpc import SendingServiceStub
from postlaw_common.errors import Conflict, Invalid, NotFound
from postlaw_common.testing.patience import patience
from postlaw_common.testing.promises import promise
from postlaw_sending.analytics.assembly import AnalyticsParts, assemble_analytics
from postlaw_sending.domains.assembly import assemble_domains
from postlaw_sending.domains.checking import Expected
from postlaw_sending.domains.dns import Resolver
from postlaw_sending.returns import counts
from postlaw_sending.returns.assembly import counts_in
from postlaw_sending.returns.days import day_of
from postlaw_sending.returns.judging import CameBack, Judging, recent
from postlaw_sending.returns.postmaster import POSTMASTER, PostmasterRates
from postlaw_sending.returns.postmaster_commands import rates_in
from postlaw_sending.returns.provider_rates import ProviderRates
from postlaw_sending.returns.rates import Figures, judged
from postlaw_sending.returns.returned import Class
from postlaw_sending.silence.hearing import hearing
from postlaw_sending.silence.last_signals import last_signals_in

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


def judging(world: World, by_provider: ProviderRates | None = None) -> Judging:
    parts = world.parts
    now_us, held = world.platform.now_us, counts_in(world.platform, "sending")[0]
    return Judging(held, parts.campaigns, parts.read.totals, parts.pause_senders, now_us, by_provider or provider_rates(world))


def analytics(world: World) -> AnalyticsParts:
    platform, parts = world.platform, world.parts
    return assemble_analytics(platform, "sending", parts.campaigns, parts.tally, hearing(last_signals_in(platform, "sending")))


def provider_rates(world: World) -> ProviderRates:
    platform, campaigns = world.platform, world.parts.campaigns
    domains = assemble_domains(platform, "sending", Resolver(), Expected()).domains
    postmaster = PostmasterRates(lambda: world.store.collection(POSTMASTER.name), domains.all, platform.now_us)
    figures = analytics(world)
    held = counts_in(platform, "sending")[0]
    return ProviderRates(held, postmaster, lambda tenant: recent(campaigns, tenant, platform.now_us()), figures.cells, platform.now_us)


def came_back(campaign_id: str, number: int, cls: Class = "complaint", provider: str = "") -> list[CameBack]:
    return [CameBack(TENANT, campaign_id, cls, provider)] * number


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
        async with patience():
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
        noted = await world.events("postlaw.operator.acts.v1")
        said = [audit.OperatorActed.FromString(event.data) for event in noted]
        assert {event.actor for event in noted} == {"operator:operator"}
        assert [one.answered for one in said] == ["", "{}", "", "{}", ""], "who asks is noted before it is done"
        assert json.loads(said[-1].asked) == {"id": campaign_id}
        assert (await world.stub.ResumeCampaign(by_id(campaign_id))).status == C.STATUS_SENDING
        await judging(world).count(came_back(campaign_id, 1))  # counted from the release on
        assert (await world.get(campaign_id)).status == C.STATUS_SENDING


async def sent_to_gmail(world: World, campaign_id: str, number: int) -> None:
    """Once analytics has counted as many."""
    figures = assemble_analytics(
        world.platform, "sending", world.parts.campaigns, world.parts.tally, hearing(last_signals_in(world.platform, "sending"))
    )
    async with patience():
        while (await figures.cells(campaign_id)).get("d|gmail|sent", 0) < number:
            await asyncio.sleep(0.02)


@promise("M6")
async def test_too_much_that_comes_back_from_one_provider_stops_what_goes_to_its_people_alone_until_an_operator_says_so(
    open_world: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "KEPT_S", 0.0)  # after which a planner knows of a hold
    async with open_world() as world:
        world.people.domains = ("gmail.com", "example.com", "example.com")
        world.people.add_list("lst_1", range(3_300))
        campaign_id = await world.launched()
        await world.until(campaign_id, C.STATUS_FINISHED)
        await sent_to_gmail(world, campaign_id, 1_100)
        rates = provider_rates(world)
        await judging(world, rates).count(came_back(campaign_id, 2, provider="gmail"))  # 0.18 % there, 0.06 % of all
        await rates.judge_touched()
        assert [one async for one in counts_in(world.platform, "sending")[0].held()] == []
        await judging(world, rates).count(came_back(campaign_id, 1, provider="gmail"))
        await rates.judge_touched()

        operator: Any = SendingServiceStub(world.mesh.channel("sending", as_service="operator"))
        [held] = (await operator.ListHeldSending(sending.ListHeldSendingRequest())).held
        assert (held.id, held.because) == (f"{TENANT}@gmail", "gmail: complaints: 3 of 1100")
        world.people.add_list("lst_2", range(30))
        again = await world.until(await world.launched("lst_2"), C.STATUS_FINISHED)
        assert (again.totals.sent, dict(again.totals.refused_by_reason)) == (20, {"provider-held": 10})

        await operator.ReleaseHeldSending(sending.ReleaseHeldSendingRequest(id=held.id))
        await rates.judge(TENANT)  # counted from the release on
        events = await world.events("postlaw.sending.holds.v1")
        told = [sending.SendingHoldChanged.FromString(event.data) for event in events]
        assert {(one.id, one.provider) for one in told} == {(held.id, "gmail")}
        assert {one.version: one.held for one in told} == {1: True, 2: False}


async def test_a_providers_own_figures_stop_what_goes_to_its_people_where_they_are_of_these_days_and_of_enough_mail(
    open_world: Opened,
) -> None:
    async with open_world() as world:
        world.people.domains = ("gmail.com",)
        world.people.add_list("lst_1", range(1_000))
        await world.stub.RegisterSenderDomain(sending.SenderDomainRequest(domain="shop.example"))
        operator: Any = SendingServiceStub(world.mesh.channel("sending", as_service="operator"))
        today, long_ago = day_of(world.platform.now_us()), day_of(world.platform.now_us(), 9)

        async def imported(*lines: str) -> tuple[int, list[str], list[str]]:
            rates = rates_in("\n".join(["Domain,Date,User-reported spam rate", *lines]))
            taken = await operator.ImportPostmasterRates(sending.ImportPostmasterRatesRequest(provider="gmail", rates=rates))
            held = (await operator.ListHeldSending(sending.ListHeldSendingRequest())).held
            return taken.taken, list(taken.unknown_domains), [one.because for one in held]

        assert await imported(f"shop.example,{today},0.9%") == (1, [], []), "nothing was sent"
        campaign_id = await world.launched()
        await world.until(campaign_id, C.STATUS_FINISHED)
        await sent_to_gmail(world, campaign_id, 1_000)
        assert await imported(f"shop.example,{today},0.19%", f"other.example,{today},1", f"shop.example,{long_ago},1") == (
            1, ["other.example"], [],
        )  # fmt: skip
        held = f"gmail: complaints: 0.20% of shop.example on {today}, as it states itself"
        assert await imported(f"SHOP.example,{today.replace('-', '')},0.002") == (1, [], [held])
        await operator.ReleaseHeldSending(sending.ReleaseHeldSendingRequest(id=f"{TENANT}@gmail"))
        assert await imported(f"shop.example,{today},0.5%") == (1, [], []), "the operator has seen this day"
        with pytest.raises(Invalid):
            await imported("shop.example,2026-13-01,0.1")


@pytest.mark.parametrize(
    ("text", "said"),
    [("a,b\n1,2", "no column domain"), ("domain,date,spam rate\nx,2026-11-20,much", "line 2: 'much'"), ("", "no column domain")],
)
def test_a_file_that_holds_no_figures_is_refused_with_the_place(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        list(rates_in(text))
