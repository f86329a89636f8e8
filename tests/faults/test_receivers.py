"""Receivers that are slow, or hang up."""

from __future__ import annotations

import asyncio

from postlaw_common.testing.promises import promise
from postlaw_mesh.rest_client import RestClient
from tests.faults.campaign import Campaigns
from tests.faults.harness import FaultMesh


@promise("M6")
async def test_a_stop_holds_against_a_receiver_that_replies_after_two_seconds(mesh: FaultMesh, api: RestClient) -> None:
    """A worker joins meanwhile: what is under way where it takes partitions over may last longer than a drain."""
    campaigns = Campaigns(api, "slow")
    with mesh.sink("--delay", "2") as outside:
        await mesh.worker(connections=8).holds()

        async def fault() -> None:
            await asyncio.sleep(4)
            mesh.worker(connections=8)

        held = await campaigns.under(outside, fault, people=100, stops=30, every_s=0.5)
        held.obeys_the_law()
        assert held.totals["unknown"] == 0 or mesh.saw_a_lost_worker
        assert held.verdict.stopped and held.verdict.never_mailed
    with mesh.sink() as outside:
        await campaigns.next_one_leaves_out(held, outside)


@promise("M6")
async def test_a_stop_holds_against_a_receiver_that_drops_connections(mesh: FaultMesh, api: RestClient) -> None:
    """It takes every thirtieth message of a connection and hangs up without a reply."""
    campaigns = Campaigns(api, "drops")
    with mesh.sink("--delay", "0.02", "--drop-after", "30") as outside:
        worker = mesh.worker(connections=4)
        await worker.holds()

        async def fault() -> None:
            return None

        held = await campaigns.under(outside, fault, people=1000, stops=60, every_s=0.1)
        held.obeys_the_law()
        assert held.totals["unknown"], "no connection was dropped: nothing is proved"
    with mesh.sink() as outside:
        await campaigns.next_one_leaves_out(held, outside)
