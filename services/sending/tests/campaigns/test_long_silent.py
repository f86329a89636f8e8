"""A campaign leaves out who gave no sign for long: of those alone who allow that signs of theirs are known."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.errors import Invalid
from postlaw_common.testing.patience import patience
from postlaw_common.testing.promises import promise
from postlaw_sending.silence.last_signals import LAST_SIGNALS
from services.sending.tests.campaigns.conftest import World
from services.sending.tests.campaigns.played import address_key
from services.sending.tests.campaigns.test_analytics import analytics
from services.sending.tests.campaigns.test_tracked_campaigns import ALL, NOTHING, OPENS, PAGE, Clock, audience, follow, ours, verdict
from services.sending.tests.messages.compiled import parsed, part

DAY_S = 24 * 3600
RULE = {"tracking": sending.Tracking(clicks=True), "leave_out_silent_days": 30}
NEWCOMER = 4


async def finished(world: World, **changed: Any) -> sending.Campaign:
    campaign = await world.draft(template=sending.Template(subject="Hello", text="Hello", html=PAGE), **changed)
    await world.stub.LaunchCampaign(sending.GetCampaignRequest(campaign_id=campaign.campaign_id))
    return await world.until(campaign.campaign_id, sending.Campaign.STATUS_FINISHED)


async def link_of(world: World, campaign_id: str, person: int) -> tuple[str, str]:
    """The first tracked link of theirs."""
    partition = person % 4
    [sealed] = [one for one in await world.records(partition) if one.campaign_id == campaign_id]
    opened = await world.parts.opener.open(sealed, partition)
    [recipient] = [one for one in opened.recipients if one.address_key == address_key(person)]
    return ours(part(parsed(opened.compiled.render(recipient)), "html"))[0]


def left_out(campaign: sending.Campaign) -> tuple[int, dict[str, int]]:
    return campaign.totals.sent, dict(campaign.totals.refused_by_reason)


@pytest.mark.parametrize("in_time", [{}, {"messages_per_hour": 10_000}])
@promise("M9")
async def test_who_might_have_given_a_sign_and_gave_none_is_left_out_and_told_by_reason(in_time: dict[str, int], open_world: Any) -> None:
    clock = Clock()
    people, law = audience()
    async with open_world(people, law, now_us=clock) as world:
        assert left_out(await finished(world, **RULE, **in_time)) == (3, {}), "nobody was silent before anybody listened"
        clock.ahead_s = 30 * DAY_S
        assert left_out(await finished(world, **RULE, **in_time)) == (3, {})
        clock.ahead_s = 32 * DAY_S
        people.add_list("lst_1", (ALL, OPENS, NOTHING, NEWCOMER))
        law.verdicts[address_key(NEWCOMER)] = verdict(clicks=True)
        campaign = await finished(world, **RULE, **in_time)
        assert left_out(campaign) == (3, {"long-silent": 1}), "who allows no clicks is not silent, nor who has just come"
        [refused] = [person for batch in world.batches.values() for person in batch if "long-silent" in person.refusals]
        assert refused.address_key == address_key(ALL)
        assert not (refused.address or refused.fields or refused.opt_out_token)
        assert dict((await analytics(world, campaign.campaign_id, refused=1)).refused_by_reason) == {"long-silent": 1}
        assert left_out(await finished(world)) == (4, {}), "another campaign leaves nobody out"


async def test_a_click_of_theirs_brings_somebody_back_and_a_machines_does_not(open_world: Any) -> None:
    clock = Clock()
    async with open_world(*audience(), now_us=clock) as world:
        first = await finished(world, **RULE)
        link = await link_of(world, first.campaign_id, ALL)
        clock.ahead_s = 40 * DAY_S
        await follow(world, link, head=True)
        await analytics(world, first.campaign_id, machine_clicks=1)
        assert left_out(await finished(world, **RULE)) == (2, {"long-silent": 1})
        await follow(world, link)
        await analytics(world, first.campaign_id, people_clicked=1)
        async with patience():
            while left_out(await finished(world, **RULE)) != (3, {}):
                await asyncio.sleep(0.1)


async def checked(world: World, **changed: Any) -> tuple[bool, str]:
    """(whether the checklist warns of the silent, what it says)."""
    campaign = await world.draft(template=sending.Template(subject="Hello", text="Hello", html=PAGE), **changed)
    found = await world.stub.GetChecklist(sending.GetCampaignRequest(campaign_id=campaign.campaign_id))
    [item] = [item for item in found.items if item.id == "long_silent"]
    assert found.passed and bool(item.what_to_do) == (item.state == sending.Checklist.STATE_WARN)
    return item.state == sending.Checklist.STATE_WARN, item.what


@promise("M7", "M9")
async def test_before_a_launch_the_checklist_counts_who_would_be_left_out_and_meets_nobody_by_looking(open_world: Any) -> None:
    clock = Clock()
    people, law = audience()
    async with open_world(people, law, now_us=clock) as world:
        assert await checked(world, **RULE) == (False, said(1, 0))
        assert await world.store.collection(LAST_SIGNALS.name).count() == 0, "silence begins with a campaign, not with a look"
        first = await finished(world, **RULE)
        link = await link_of(world, first.campaign_id, ALL)
        clock.ahead_s = 32 * DAY_S
        people.add_list("lst_1", (ALL, OPENS, NOTHING, NEWCOMER))
        law.verdicts[address_key(NEWCOMER)] = verdict(clicks=True)
        asked = len(law.asked)
        assert await checked(world, **RULE) == (True, said(2, 1)), "who allows no clicks is not counted, nor is who has just come"
        assert len(law.asked) == asked + 4, "a question for each partition"
        assert await checked(world, **RULE | {"leave_out_silent_days": 60}) == (False, said(2, 0, 60))
        (counted_none, what) = await checked(world, tracking=sending.Tracking(clicks=True))
        assert (counted_none, what.startswith("Nobody was counted")) == (False, True)
        await follow(world, link, head=True)
        await analytics(world, first.campaign_id, machine_clicks=1)
        assert (await checked(world, **RULE))[0], "a machine's click is no sign"
        await follow(world, link)
        async with patience():
            while (await checked(world, **RULE))[0]:
                await asyncio.sleep(0.1)
        law.verdicts = {}
        assert (await checked(world, **RULE)) == (
            False,
            "Nobody looked at may have it and allows signs of theirs to be known: nobody counts as silent.",
        )


def said(watched: int, silent: int, days: int = 30) -> str:
    return f"Of {watched} people looked at who may have it and allow signs of theirs to be known, {silent} gave none for {days} days."


async def test_where_no_campaign_leaves_anybody_out_nothing_is_kept_of_peoples_signs(open_world: Any) -> None:
    async with open_world(*audience()) as world:
        campaign = await finished(world, tracking=sending.Tracking(clicks=True))
        await follow(world, await link_of(world, campaign.campaign_id, ALL))
        await analytics(world, campaign.campaign_id, machine_clicks=1)  # so soon after the hand-off
        assert await world.store.collection(LAST_SIGNALS.name).count() == 0


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"leave_out_silent_days": 30}, "needs tracking.opens or tracking.clicks"),
        ({"leave_out_silent_days": 30, "tracking": sending.Tracking(counts=True)}, "needs tracking.opens or tracking.clicks"),
        (RULE | {"leave_out_silent_days": 29}, "give 30 to 1,095"),
        (RULE | {"leave_out_silent_days": 1_096}, "give 30 to 1,095"),
        (RULE | {"leave_out_silent_days": -1}, "give 30 to 1,095"),
    ],
)
async def test_a_rule_that_could_not_be_just_is_refused(changed: dict[str, Any], what: str, open_world: Any) -> None:
    async with open_world(*audience()) as world:
        with pytest.raises(Invalid) as refused:
            await world.draft(**changed)
        [wrong] = refused.value.fields
        assert (wrong.field, what in wrong.message) == ("leave_out_silent_days", True), wrong
