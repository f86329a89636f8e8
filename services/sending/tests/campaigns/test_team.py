"""Team addresses: few, asked seldom, and nobody's until they have said yes."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, cast

import pytest

from postlaw.consent.v1 import consent_pb2 as consent
from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.errors import Conflict, NotFound
from postlaw_common.testing.promises import promise
from postlaw_sending.campaigns.domain.ruling import COMMERCIAL
from postlaw_sending.singles.send_single import Posting
from postlaw_sending.team.addresses import MOST, TEAM_ADDRESSES
from postlaw_sending.team.assembly import assemble_team
from services.sending.tests.campaigns.played import refusal
from services.sending.tests.campaigns.test_ab_tests import ab
from services.sending.tests.campaigns.test_campaign_life import by_id
from services.sending.tests.campaigns.test_own_messages import message
from services.sending.tests.campaigns.test_single_messages import jobs

if TYPE_CHECKING:
    from .conftest import Opened, World

SENDER = sending.Sender(name="Shop", address="news@shop.example", postal_address="1 Main St")
HOUR_US = 3_600_000_000


async def add(world: World, address: str = "team@shop.example", **said: Any) -> sending.TeamAddress:
    return await world.stub.AddTeamAddress(sending.AddTeamAddressRequest(address=address, sender=SENDER, language="en", **said))


async def tokens(world: World) -> list[str]:
    """Of the mails that asked, in order."""
    texts = [body.get_content() for record in await jobs(world) if (body := (await message(world, record)).get_body())]
    return [token for text in texts for token in re.findall(r"/t/([A-Za-z0-9_-]+)", text)]


async def press(world: World, token: str) -> sending.TeamAddressLink:
    return await world.stub.ConfirmTeamAddress(sending.TeamAddressTokenRequest(token=token))


async def test_a_link_works_for_seven_days_and_the_one_before_it_no_more(open_world: Opened) -> None:
    ahead = [0]
    async with open_world(now_us=lambda: time.time_ns() // 1000 + ahead[0]) as world:
        world.law.valid_s = 10 * 24 * 3600
        await add(world)
        await add(world, seed=True)
        [first] = await tokens(world)
        ahead[0] = 8 * 24 * HOUR_US
        assert (await press(world, first)).expired
        team = await add(world, seed=True)
        assert (team.state, team.seed) == (sending.TeamAddress.STATE_ASKED, True)
        second = next(token for token in await tokens(world) if token != first)
        with pytest.raises(NotFound):
            await press(world, first)
        assert (await press(world, second)).confirmed
        [document] = [document async for page in world.store.collection(TEAM_ADDRESSES.name).scan() for document in page]
        kept = repr(document)
        assert "team@shop" not in kept
        assert second not in kept


@promise("S8", "A1")
async def test_each_change_of_a_team_address_is_told_and_names_nobody(open_world: Opened) -> None:
    async with open_world() as world:
        team = await add(world)
        await add(world)  # asked within the hour: nothing changes
        await add(world, seed=True)
        [token] = await tokens(world)
        for _ in range(2):
            await press(world, token)
        for _ in range(2):
            await world.stub.RemoveTeamAddress(sending.RemoveTeamAddressRequest(team_address_id=team.team_address_id))
        told = [sending.TeamAddressChanged.FromString(event.data) for event in await world.events("postlaw.sending.team.v1")]
        asked, confirmed = sending.TeamAddress.STATE_ASKED, sending.TeamAddress.STATE_CONFIRMED
        assert [(one.state, one.seed, one.removed, one.actor.id) for one in told] == [
            (asked, False, False, "key_test"),
            (asked, True, False, "key_test"),
            (confirmed, True, False, ""),
            (confirmed, True, True, "key_test"),
        ]
        assert [one.version for one in told] == [1, 2, 3, 4]
        [left] = [document async for page in world.store.collection(TEAM_ADDRESSES.name).scan() for document in page]
        assert "sealed" not in left and "address_key" not in left
        assert (await add(world)).state == asked, "whoever is added again is somebody new"


async def test_there_are_fifty_at_most(open_world: Opened) -> None:
    async with open_world() as world:
        added = [await add(world, f"t{number}@shop.example") for number in range(MOST)]
        with pytest.raises(Conflict):
            await add(world, "one-too-many@shop.example")
        await world.stub.RemoveTeamAddress(sending.RemoveTeamAddressRequest(team_address_id=added[-1].team_address_id))
        await add(world, "one-too-many@shop.example")


async def test_nobody_is_asked_from_a_domain_that_is_not_verified(open_world: Opened) -> None:
    async with open_world(unverified_domains="deny") as world:
        with pytest.raises(Conflict):
            await add(world)
        assert not await jobs(world)


async def test_a_seed_gets_each_variant_once_whoever_plans(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", [])
        await add(world, seed=True)
        [token] = await tokens(world)
        await press(world, token)
        campaign_id = (await world.draft(ab_test=ab(40, 40))).campaign_id
        await world.stub.LaunchCampaign(by_id(campaign_id))
        await world.until(campaign_id, sending.Campaign.STATUS_FINISHED)
        posting = Posting(world.singles, world.parts.single_consent, world.platform.placement)
        again = assemble_team(world.platform, "sending", world.parts, cast("Any", None), posting, None)
        assert await again.seeding(await found(world, campaign_id)), "another planner, which took the campaign over"
        subjects = [str((await message(world, record))["Subject"]) for record in await jobs(world)]
        assert sorted(subjects[1:]) == ["Hello", "Subject 2"]


async def found(world: World, campaign_id: str) -> Any:
    campaign = await world.parts.campaigns.find(campaign_id)
    assert campaign is not None
    return campaign


@promise("M6")
async def test_a_no_between_two_questions_about_ones_own_people_is_heard(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", [])
        team = await add(world)
        [token] = await tokens(world)
        await press(world, token)
        campaign_id = (await world.draft()).campaign_id
        asked_before = len(world.law.asked)

        class SaidNoMeanwhile(dict[bytes, consent.Verdict]):
            """To everything, once the first question is answered: advertising ends, a message of service does not."""

            def get(self, key: bytes, default: Any = None) -> Any:
                advertises = world.law.asked[-1].message.message_class == COMMERCIAL
                return refusal("SUPPRESSED_EVERYTHING") if advertises and len(world.law.asked) > asked_before + 1 else default

        world.law.verdicts = SaidNoMeanwhile()
        with pytest.raises(Conflict, match="SUPPRESSED"):
            await world.stub.SendTest(sending.SendTestRequest(campaign_id=campaign_id, team_address_ids=[team.team_address_id]))
        asked_before = len(world.law.asked)
        with pytest.raises(Conflict, match="SUPPRESSED"):
            await add(world, "another@shop.example")
        assert len(await jobs(world)) == 1, "that which asked"
