"""A draft is made once under an idempotency key: the gateway may have died before it could note that it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.errors import KeyReused

if TYPE_CHECKING:
    from .conftest import Opened, World


async def drafts(world: World) -> list[str]:
    return [campaign.campaign_id for campaign in (await world.stub.ListCampaigns(sending.ListCampaignsRequest())).campaigns]


async def test_the_same_draft_is_made_once_and_is_answered_as_it_is_now(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", range(10))
        first = await world.draft(key="k")
        assert await world.draft(key="k") == first
        await world.stub.CancelCampaign(sending.GetCampaignRequest(campaign_id=first.campaign_id))
        again = await world.draft(key="k")
        assert (again.campaign_id, again.status) == (first.campaign_id, sending.Campaign.STATUS_CANCELLED)
        assert await drafts(world) == [first.campaign_id]
        await world.draft()
        await world.draft()
        assert len(await drafts(world)) == 3, "without a key every draft is a new one"


async def test_another_draft_under_the_same_key_is_refused(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", range(10))
        await world.draft(key="k")
        with pytest.raises(KeyReused):
            await world.draft(key="k", template=sending.Template(subject="Hello", text="Another one"))
        assert len(await drafts(world)) == 1
