"""Kafka restarted, the store unreachable, identity and subscribers gone: in the middle of a campaign, while people say stop."""

from __future__ import annotations

import asyncio

from postlaw_common.testing.promises import promise
from postlaw_mesh.demo.law import Answered
from postlaw_mesh.rest_client import RestClient
from tests.faults.campaign import STOPPED_S, Campaigns, mailed
from tests.faults.harness import FaultMesh


@promise("M6")
async def test_a_stop_holds_while_kafka_is_restarted(mesh: FaultMesh, api: RestClient) -> None:
    campaigns = Campaigns(api, "kafka")
    with mesh.sink("--delay", "0.03") as outside:
        workers = [mesh.worker(), mesh.worker()]
        await workers[0].holds()

        async def fault() -> None:
            await mailed(outside, 50)
            await asyncio.to_thread(mesh.broker.stop)
            await asyncio.to_thread(mesh.broker.start)
            await mailed(outside, 200)
            await asyncio.to_thread(mesh.broker.kill)
            await asyncio.to_thread(mesh.broker.start)

        held = await campaigns.under(outside, fault, people=1000, stops=60, every_s=0.3)
        held.obeys_the_law()
        assert all(worker.alive for worker in workers)
    with mesh.sink() as outside:
        await campaigns.next_one_leaves_out(held, outside)


@promise("M6")
async def test_a_stop_holds_while_the_store_is_unreachable_for_ten_seconds(mesh: FaultMesh, api: RestClient) -> None:
    """First sending's alone, with writes that arrive long after their senders gave up; then everybody's."""
    campaigns = Campaigns(api, "store")
    with mesh.sink("--delay", "0.03") as outside:
        workers = [mesh.worker(), mesh.worker()]
        await workers[0].holds()

        async def fault() -> None:
            await mailed(outside, 50)
            mesh.store_of_sending.stall()
            await asyncio.sleep(10)
            mesh.store_of_sending.mend()
            await mailed(outside, 200)
            for store in (mesh.store_of_sending, mesh.store_of_others):
                store.cut()
            await asyncio.sleep(4)
            for store in (mesh.store_of_sending, mesh.store_of_others):
                store.mend()

        held = await campaigns.under(outside, fault, people=1000, stops=60, every_s=0.3)
        held.obeys_the_law()
        assert all(worker.alive for worker in workers)
    with mesh.sink() as outside:
        await campaigns.next_one_leaves_out(held, outside)


@promise("M6")
async def test_opt_outs_are_answered_stopped_while_identity_and_subscribers_are_down(mesh: FaultMesh, api: RestClient) -> None:
    campaigns = Campaigns(api, "alone")
    while_down: list[Answered] = []
    with mesh.sink("--delay", "0.03") as outside:
        worker = mesh.worker()
        await worker.holds()
        list_id = await campaigns.list_of(1000)
        links = iter((await campaigns.links(list_id, 1000, 20)).items())
        campaign_id = await campaigns.launch(list_id)
        await mailed(outside, 50)
        mesh.take_away("people")
        try:
            for address, link in links:
                while_down.append(await campaigns.insist(address, link, STOPPED_S))
        finally:
            mesh.serve("people")
        held = await campaigns.held(list_id, 1000, campaign_id, while_down, outside)
        held.obeys_the_law()
        assert {answer.outcome for answer in while_down} == {"stopped"}
    with mesh.sink() as outside:
        await campaigns.next_one_leaves_out(held, outside)
