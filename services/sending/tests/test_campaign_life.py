"""A campaign from the draft to the last recipient's final state, through gRPC, planner and projection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from postlaw.sending.v1 import sending_pb2 as sending

if TYPE_CHECKING:
    from conftest import Opened


async def test_a_campaign_reaches_everyone_once_and_its_states_add_up(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", range(3_000))
        campaign_id = await world.launched()
        campaign = await world.until(campaign_id, sending.Campaign.STATUS_FINISHED)
        assert sorted(world.mailed) == sorted(f"p{number}@example.com" for number in range(3_000))
        assert campaign.totals.audience == campaign.totals.sent == 3_000
        assert campaign.totals.audience_complete
