"""Workers paused beyond their lease, and workers that come and go."""

from __future__ import annotations

import asyncio

from postlaw_common.testing.promises import promise
from postlaw_mesh.rest_client import RestClient
from tests.faults.campaign import Campaigns, mailed
from tests.faults.harness import FaultMesh, Worker

BEYOND_LEASE_S = 4.5  # a lease is three seconds


@promise("M6")
async def test_a_stop_holds_against_a_worker_that_was_paused_beyond_its_lease(mesh: FaultMesh, api: RestClient) -> None:
    campaigns = Campaigns(api, "paused")
    with mesh.sink("--delay", "0.03") as outside:
        first, second = mesh.worker(), mesh.worker()
        await first.holds()

        async def pause(*workers: Worker) -> None:
            for worker in workers:
                worker.pause()
            await asyncio.sleep(BEYOND_LEASE_S)
            for worker in workers:
                worker.resume()
            await asyncio.sleep(0.5)

        async def fault() -> None:
            await mailed(outside, 50)
            await pause(first)
            await pause(second)
            await pause(first, second)

        held = await campaigns.under(outside, fault, people=1500, stops=100, every_s=0.2)
        held.obeys_the_law()
        assert held.totals["unknown"], "no worker had a claim open when it was paused: nothing is proved"
    with mesh.sink() as outside:
        await campaigns.next_one_leaves_out(held, outside)


@promise("M6")
async def test_a_stop_holds_while_partitions_move_from_worker_to_worker(mesh: FaultMesh, api: RestClient) -> None:
    """In order, so nobody is left unknown."""
    campaigns = Campaigns(api, "moved")
    with mesh.sink("--delay", "0.03") as outside:
        first = mesh.worker()
        await first.holds()

        async def fault() -> None:
            await mailed(outside, 50)
            second = mesh.worker()
            await second.holds()
            first.leave()
            third = mesh.worker()
            await first.gone()
            await third.holds()
            second.leave()
            await second.gone()

        held = await campaigns.under(outside, fault, people=1000, stops=60, every_s=0.2)
        held.obeys_the_law()
        assert held.totals["unknown"] == 0 or mesh.saw_a_lost_worker
    with mesh.sink() as outside:
        await campaigns.next_one_leaves_out(held, outside)
