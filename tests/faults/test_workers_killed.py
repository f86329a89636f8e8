"""Workers killed: nothing is mailed after "stopped", nobody twice, and the next worker finishes the campaign."""

from __future__ import annotations

import asyncio
import random

from postlaw_common.testing.promises import promise
from postlaw_mesh.rest_client import RestClient
from tests.faults.campaign import Campaigns, mailed
from tests.faults.harness import FaultMesh

# Every durable write of a worker's cycle and its socket writes, on both sides; worker_process.py says what the words mean.
POINTS = [
    "take:before:2",
    "mail:half:1",
    "claim:after:1",
    "mark:before:2",
    "mail:after:2",
    "claim:before:2",
    "take:after:2",
    "settled:before:1",
    "note:after:2",
    "mail:before:3",
    "settled:after:1",
    "mark:after:2",
    "note:before:3",
    "roll:after:3",
]


@promise("M6")
async def test_a_stop_holds_while_workers_are_killed_at_random_moments(mesh: FaultMesh, api: RestClient) -> None:
    campaigns, chance = Campaigns(api, "killed"), random.Random(3)
    with mesh.sink("--delay", "0.02") as outside:
        workers = [mesh.worker(), mesh.worker()]
        await workers[0].holds()

        async def fault() -> None:
            await mailed(outside, 50)
            for turn in range(3):
                await asyncio.sleep(chance.uniform(0.2, 1.5))
                workers[turn % 2].kill()
                await asyncio.sleep(chance.uniform(0.0, 1.0))
                workers[turn % 2].start()

        held = await campaigns.under(outside, fault, people=1000, stops=60, every_s=0.2)
        held.obeys_the_law()
        assert held.totals["unknown"], "no worker had a claim open when it was killed: nothing is proved"
    with mesh.sink() as outside:
        await campaigns.next_one_leaves_out(held, outside)


@promise("M6")
async def test_a_stop_holds_wherever_in_its_cycle_a_worker_is_killed(mesh: FaultMesh, api: RestClient) -> None:
    campaigns = Campaigns(api, "points")
    with mesh.sink("--delay", "0.02") as outside:
        points = iter(POINTS)

        async def die_one_after_the_other() -> None:
            for point in points:
                await mesh.worker(die_at=point).gone()

        async def fault() -> None:
            await asyncio.gather(die_one_after_the_other(), die_one_after_the_other())
            mesh.worker(connections=8)

        held = await campaigns.under(outside, fault, people=3000, stops=120, every_s=0.4)
        held.obeys_the_law()
    with mesh.sink() as outside:
        await campaigns.next_one_leaves_out(held, outside)
