"""The bus was set back to an older point while the mesh was down, and the operator did what docs/operations.md says."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from postlaw_common.testing.backing.kafka import LocalKafka
from postlaw_common.testing.backing.mongodb_wire import LocalMongoWire
from postlaw_common.testing.patience import patience
from postlaw_common.testing.promises import promise
from postlaw_mesh.demo.law import Answered
from postlaw_mesh.rest_client import ApiProblem, RestClient, client
from tests.faults.campaign import STOPPED_S, Campaigns, hand_overs, mailed
from tests.faults.harness import FaultMesh

PEOPLE, STOPS = 300, 5


@pytest.fixture
def own_mesh(local_kafka: Callable[[], LocalKafka], local_mongodb: LocalMongoWire, tmp_path: Path) -> Iterator[FaultMesh]:
    """One that no other test shares: what is restored here is lost to all."""
    mesh = FaultMesh(tmp_path / "mesh", local_kafka(), local_mongodb.url)
    with ExitStack() as stack:
        stack.callback(mesh.stop)
        mesh.start()
        yield mesh


async def say_stop(campaigns: Campaigns, links: dict[str, str], patience_s: float = 0.0) -> list[Answered]:
    return list(await asyncio.gather(*(campaigns.insist(address, link, patience_s) for address, link in links.items())))


async def provable(api: RestClient, answers: list[Answered]) -> None:
    """Each event's proof is there within a second; how long it takes on a busy machine is not asked here."""
    async with patience():
        for answer in answers:
            while True:
                try:
                    await api.call("GET", f"/v1/audit/events/{answer.event_id}/proof")
                    break
                except ApiProblem:
                    await asyncio.sleep(0.2)


def set_back(mesh: FaultMesh) -> None:
    """As docs/operations.md has it, with every service stopped: bus, generation, audit alone and verified, then the rest."""
    mesh.broker.stop()
    mesh.broker.set_back()
    mesh.broker.start()
    before = mesh.command("generation", "show")
    assert mesh.command("generation", "raise") != before
    mesh.serve("audit")
    assert mesh.command("audit", "verify")["valid"]
    mesh.take_away("audit")
    mesh.start()


@promise("M6")
@promise("A3")
async def test_after_a_restore_of_the_bus_a_stop_holds_nobody_is_mailed_twice_and_the_audit_log_is_whole(own_mesh: FaultMesh) -> None:
    mesh = own_mesh
    async with client(mesh.gateway, mesh.credentials()) as api:
        campaigns = Campaigns(api, "restored")
        with mesh.sink("--delay", "0.05") as outside:
            await mesh.worker().holds()
            list_id = await campaigns.list_of(PEOPLE)
            links = list((await campaigns.links(list_id, PEOPLE, 3 * STOPS)).items())
            answers = await say_stop(campaigns, dict(links[:STOPS]))
            await provable(api, answers)
            await asyncio.to_thread(mesh.broker.stop)
            mesh.broker.keep_copy()
            await asyncio.to_thread(mesh.broker.start)

            lost = await campaigns.launch(list_id)
            await mailed(outside, 50)
            answers += await say_stop(campaigns, dict(links[STOPS : 2 * STOPS]))
            await provable(api, answers)
            await asyncio.to_thread(mesh.stop_serving)
            begun = hand_overs(outside)
            await asyncio.to_thread(set_back, mesh)
            worker = mesh.worker()
            await worker.holds()

            answers += await say_stop(campaigns, dict(links[2 * STOPS :]), STOPPED_S)
            assert {answer.outcome for answer in answers[2 * STOPS :]} == {"stopped"}
            assert len(begun) < PEOPLE - 2 * STOPS, "the campaign was over before the restore: nothing is proved"
            await api.call("POST", f"/v1/campaigns/{lost}/cancel")
            assert worker.program.logged("earlier generation")
            assert len(hand_overs(outside)) == len(begun), "what was being sent is not sent on"
            assert set(Counter(record.address for record in begun).values()) == {1}

            outside.reset()
            totals = (await campaigns.finished(await campaigns.launch(list_id)))["totals"]
            stopped = {answer.address for answer in answers}
            records = hand_overs(outside)
            assert {record.address for record in records} == {campaigns.address(i) for i in range(PEOPLE)} - stopped
            assert len(records) == int(totals["sent"]) == PEOPLE - len(stopped)
        await provable(api, answers)
    mesh.stop_serving()
    verified = mesh.command("audit", "verify")
    assert (verified["valid"], verified["generations"]) == (True, 1)
