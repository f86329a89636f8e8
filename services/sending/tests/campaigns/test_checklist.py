"""What must pass before a campaign may start: each item found out by machine, and a launch refused by those that fail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.errors import Invalid, Unprocessable
from postlaw_common.testing.promises import promise
from services.sending.tests.campaigns.played import refusal
from services.sending.tests.campaigns.test_team import add, press, tokens

if TYPE_CHECKING:
    from .conftest import Opened, World

L = sending.Checklist
IDS = [
    "template", "sender", "answers", "domain", "renders", "postal_address", "subject", "label", "text", "size", "links",
    "audience", "fields", "unsubscribe", "long_silent",
]  # fmt: skip


def by_id(campaign: sending.Campaign) -> sending.GetCampaignRequest:
    return sending.GetCampaignRequest(campaign_id=campaign.campaign_id)


async def looked_at(world: World, **changed: Any) -> dict[str, L.Item]:
    """The items of a draft to 40 people."""
    if not world.people.lists:
        world.people.add_list("lst_1", range(40))
    found = await world.stub.GetChecklist(by_id(await world.draft(**changed)))
    assert found.passed == all(item.state != L.STATE_FAIL for item in found.items)
    return {item.id: item for item in found.items}


@promise("M7")
async def test_a_campaign_in_order_passes_every_item(open_world: Opened) -> None:
    async with open_world() as world:
        found = await looked_at(world)
        assert list(found) == IDS
        assert [item.id for item in found.values() if item.state != L.STATE_PASS] == ["domain"]  # the tests' mail is captured
        assert found["audience"].what == "Of 40 people looked at, 40 may have it (UK: express_consent 40)."
        assert found["long_silent"].what.startswith("Nobody was counted")


@promise("M2", "M7")
async def test_a_launch_is_refused_with_every_item_that_fails_and_the_campaign_stays_a_draft(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", range(40))
        wrong = sending.Template(subject="Re: your order", html='<a href="https://">x</a>' + "x" * 105_000, text="Dear {{ nmae }}")
        draft = await world.draft(template=wrong, sender=sending.Sender(name="Shop", address="news@shop.example", postal_address="n/a"))
        with pytest.raises(Unprocessable) as refused:
            await world.stub.LaunchCampaign(by_id(draft))
        assert (refused.value.type, refused.value.status) == ("checklist-failed", 422)
        assert [item.field for item in refused.value.fields] == ["postal_address", "subject", "size", "links", "fields"]
        assert "Re:" in refused.value.fields[1].message and "nmae" in refused.value.fields[4].message
        assert (await world.get(draft.campaign_id)).status == sending.Campaign.STATUS_DRAFT
        assert not await world.store.collection("campaign_leases").count()


@promise("M5", "M7")
async def test_a_link_that_leads_nowhere_or_elsewhere_fails(open_world: Opened) -> None:
    async with open_world() as world:
        world.law.dead_links = True
        assert (await looked_at(world))["unsubscribe"].state == L.STATE_FAIL
        world.law.dead_links, world.law.leads_to = False, ("ten_00000000000000000000000001", "lst_2")
        assert (await looked_at(world))["unsubscribe"].state == L.STATE_FAIL
        world.law.leads_to = ("ten_00000000000000000000000002", "lst_1")
        assert (await looked_at(world))["unsubscribe"].state == L.STATE_FAIL


@promise("M7", "G2")
async def test_the_audience_is_counted_by_what_it_rests_on_and_why_not(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", range(2_000))
        for key in list(world.people.names)[:300]:
            world.law.verdicts[key] = refusal("CA:ROUTE_EXPIRED")
        item = (await looked_at(world))["audience"]
        assert item.state == L.STATE_WARN and "CA:ROUTE_EXPIRED" in item.what and "UK: express_consent" in item.what
        assert item.what.startswith("Of 800 people looked at, ")  # a page of 200 of each of four partitions
        assert sum(len(request.address_keys) for request in world.law.asked) == 800
        assert all(request.message.message_class == "commercial" and not request.bulk for request in world.law.asked)


async def test_a_list_of_nobody_warns_and_the_message_is_looked_at_all_the_same(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", [])
        found = await looked_at(world, template=sending.Template(subject="Fwd: hello", text="x"))
        assert {id for id, item in found.items() if item.state == L.STATE_WARN} == {"domain", "audience", "unsubscribe"}
        assert {id for id, item in found.items() if item.state == L.STATE_FAIL} == {"subject"}


async def test_what_cannot_be_looked_at_is_said_and_stops_no_launch(open_world: Opened) -> None:
    """Without consent nobody gets a token, so nothing can go: the launch waits for it as planning does."""
    async with open_world() as world:
        world.law.away = True
        unseen = {"domain", "audience", "fields", "unsubscribe"}
        found = await looked_at(world)
        assert list(found) == IDS
        assert {id for id, item in found.items() if item.state == L.STATE_WARN} == unseen
        found = await looked_at(world, tracking=sending.Tracking(clicks=True), leave_out_silent_days=30)
        assert {id for id, item in found.items() if item.state == L.STATE_WARN} == unseen | {"long_silent"}


async def test_a_field_that_some_lack_warns_and_a_default_is_enough(open_world: Opened) -> None:
    async with open_world() as world:
        template = sending.Template(subject="Hello", text="Dear {% if title %}{{ title }} {% endif %}{{ name }}")
        item = (await looked_at(world, template=template))["fields"]
        assert (item.state, item.what) == (L.STATE_WARN, "Missing of 40 looked at: title 40.")


@promise("M1")
@pytest.mark.parametrize(
    ("name", "address", "item", "state"),
    [
        ("Shop", "no-reply@shop.example", "answers", L.STATE_WARN),
        ("help@bank.example", "news@shop.example", "sender", L.STATE_FAIL),
        ("news@shop.example", "news@shop.example", "sender", L.STATE_PASS),
    ],
)
async def test_a_sender_is_who_they_say(open_world: Opened, name: str, address: str, item: str, state: Any) -> None:
    async with open_world() as world:
        sender = sending.Sender(name=name, address=address, postal_address="1 Main St")
        assert (await looked_at(world, sender=sender))[item].state == state


@promise("M1")
async def test_answers_that_somebody_reads_are_enough_and_stay_with_the_campaign(open_world: Opened) -> None:
    async with open_world() as world:
        sender = sending.Sender(name="Shop", address="no-reply@shop.example", postal_address="1 Main St", reply_to="post@shop.example")
        assert (await looked_at(world, sender=sender))["answers"].state == L.STATE_PASS
        (listed,) = (await world.stub.ListCampaigns(sending.ListCampaignsRequest())).campaigns
        assert listed.sender == sender


@promise("M1", "M7")
async def test_a_campaign_whose_answers_would_reach_nobody_is_neither_drafted_nor_launched(open_world: Opened) -> None:
    async with open_world(return_host="returns.shop.example") as world:
        team = (await add(world)).team_address_id
        with pytest.raises(Invalid):
            await world.draft(forward_answers_to=team)
        [token] = await tokens(world)
        await press(world, token)
        both = sending.Sender(name="Shop", address="news@shop.example", postal_address="1 Main St", reply_to="post@shop.example")
        with pytest.raises(Invalid):
            await world.draft(forward_answers_to=team, sender=both)
        assert (await looked_at(world, forward_answers_to=team))["answers"].state == L.STATE_PASS
        draft = await world.draft(forward_answers_to=team)
        assert draft.forward_answers_to == team
        await world.stub.RemoveTeamAddress(sending.RemoveTeamAddressRequest(team_address_id=team))
        with pytest.raises(Unprocessable) as refused:
            await world.stub.LaunchCampaign(by_id(draft))
        assert [item.field for item in refused.value.fields] == ["answers"]
