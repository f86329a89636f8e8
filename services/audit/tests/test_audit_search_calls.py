"""Search as callers have it: by an address that is kept nowhere, with what a batch says of one person, and nothing of other customers'."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw.audit.v1.audit_pb2_grpc import AuditServiceStub, ReconcilerServiceStub
from postlaw.sending.v1 import sending_pb2 as sending
from postlaw.subscribers.v1 import subscribers_pb2 as subscribers
from postlaw.subscribers.v1.subscribers_pb2_grpc import add_SubscribersServiceServicer_to_server
from postlaw_audit.service import AuditSettings, build
from postlaw_common.errors import Denied, Invalid, NotFound, PostlawError
from postlaw_common.events import new_event, to_record
from postlaw_common.reconciling import Difference
from postlaw_common.reconciling.wire import differed, finished, result_record
from postlaw_common.settings import load
from postlaw_common.testing.mesh import Mesh, fake, mesh
from postlaw_common.testing.patience import patience
from postlaw_common.testing.promises import promise

ANN, BEN = b"\1" + b"a" * 32, b"\1" + b"b" * 32
SETTLED = sending.BatchSettled(
    campaign_id="cmp_1", address_keys=[BEN, ANN], subscriber_ids=["sub_b", "sub_a"], states=b"\2\3", reasons=[0, 1],
    reason_texts=["no consent"], started_at_us=1_000_000, handed_over_after_us=[500, 0],
)  # fmt: skip


class Subscribers:
    async def ResolvePerson(self, request: Any, context: Any) -> subscribers.ResolvedPerson:
        if request.address == "ann@example.com":
            return subscribers.ResolvedPerson(address_key=ANN)  # erased: known by the key alone
        raise NotFound("nobody")


@pytest.fixture
async def running(tmp_path: Path) -> AsyncGenerator[Mesh]:
    of_subscribers = fake("subscribers", add_SubscribersServiceServicer_to_server, Subscribers())
    async with mesh(tmp_path, [lambda platform: build(platform, load(AuditSettings)), of_subscribers]) as made:
        yield made


def stub(running: Mesh, tenant_id: str = "ten_1", as_service: str = "gateway") -> Any:
    return AuditServiceStub(running.channel("audit", as_service=as_service, caller=running.caller(tenant_id, ["audit:read"])))


async def put(running: Mesh, *tenants: str) -> None:
    events = [
        new_event("postlaw.sending.BatchSettled", SETTLED.SerializeToString(), source="sending", subject="cmp_1", sequence=1, tenant_id=one)
        for one in tenants
    ]
    bus = running.running.backing.bus
    await bus.publish([to_record(event, "postlaw.sending.outcomes.v1", 0) for event in events])
    async with patience():
        while not await indexed(running, len(events)):
            await asyncio.sleep(0.05)


async def indexed(running: Mesh, entries: int) -> bool:
    try:
        return (await stub(running, as_service="operator").GetIndex(audit.GetIndexRequest())).indexed >= entries
    except PostlawError:  # there is no checkpoint yet
        return False


@promise("A1")
async def test_a_person_is_found_by_their_address_after_everything_else_of_theirs_is_gone(running: Mesh) -> None:
    await put(running, "ten_1", "ten_2")
    found = await stub(running).ListEntries(audit.ListEntriesRequest(address="ann@example.com"))
    (entry,) = found.entries
    assert (entry.said["states"], entry.said["reason_texts"], entry.said["subscriber_ids"]) == ("3", "no consent", "sub_a")
    assert (found.searched_below, found.address_key, found.next_page_token) == (2, ANN, "")
    proof = await stub(running).GetEventProof(audit.GetEventProofRequest(event_id=entry.event_id))
    assert (proof.index, entry.proof) == (entry.index, f"/v1/audit/events/{entry.event_id}/proof")


@promise("A1")
async def test_a_customer_finds_their_own_alone_and_the_platform_nobodys(running: Mesh) -> None:
    await put(running, "ten_1", "ten_2")
    (mine,) = (await stub(running, "ten_2").ListEntries(audit.ListEntriesRequest(campaign_id="cmp_1"))).entries
    with pytest.raises(NotFound):
        await stub(running, "ten_1").GetEventProof(audit.GetEventProofRequest(event_id=mine.event_id))
    with pytest.raises(Denied):
        await stub(running, "").ListEntries(audit.ListEntriesRequest())


async def test_pages_end_and_a_made_up_page_is_refused(running: Mesh) -> None:
    await put(running, "ten_1", "ten_1", "ten_1")
    first = await stub(running).ListEntries(audit.ListEntriesRequest(page_size=2))
    second = await stub(running).ListEntries(audit.ListEntriesRequest(page_size=2, page_token=first.next_page_token))
    assert [[entry.index for entry in page.entries] for page in (first, second)] == [[2, 1], [0]]
    assert second.next_page_token == ""
    for made_up in ("x", "9" * 5_000):
        with pytest.raises(Invalid):
            await stub(running).ListEntries(audit.ListEntriesRequest(page_token=made_up))


async def test_an_index_that_is_made_anew_finds_the_same(running: Mesh) -> None:
    await put(running, "ten_1")
    operator = stub(running, as_service="operator")
    before = (await operator.GetIndex(audit.GetIndexRequest())).generation
    await operator.RebuildIndex(audit.RebuildIndexRequest())
    async with patience():
        while (status := await operator.GetIndex(audit.GetIndexRequest())).generation == before or status.indexed < 1:
            await asyncio.sleep(0.05)
    assert len((await stub(running).ListEntries(audit.ListEntriesRequest())).entries) == 1


@promise("S8")
async def test_a_customer_sees_what_differs_of_theirs_and_the_operator_all_of_it(running: Mesh) -> None:
    bus, run = running.running.backing.bus, {"_id": "jobs against batches", "run_id": "rec_1", "began_us": 1, "finished_us": 2}
    found = [Difference("lost", (tenant,), tenant) for tenant in ("ten_1", "ten_2", "ten_2")]
    told = [differed("sending", "jobs against batches", "rec_1", one) for one in found[:2]]
    told.append(finished("sending", run | {"looked_at": 9, "differences": 3, "found": "[]"}))
    await bus.publish([result_record(bus, *one) for one in told])

    async def listed(asked: Any) -> list[audit.Reconciliation]:
        async with patience():
            while not (known := (await asked.ListReconciliations(audit.ListReconciliationsRequest())).reconciliations):
                await asyncio.sleep(0.05)
        return list(known)

    [own] = await listed(stub(running))
    assert (own.service, own.check, own.looked_at, own.differences, list(own.found[0].ids)) == (
        "sending",
        "jobs against batches",
        0,
        1,
        ["ten_1"],
    )
    operator = running.caller("", ["audit:read", "platform:admin"])
    [all] = await listed(AuditServiceStub(running.channel("audit", as_service="operator", caller=operator)))
    assert (all.looked_at, all.differences, len(all.found)) == (9, 3, 2)
    with pytest.raises(Denied):
        await stub(running, "").ListReconciliations(audit.ListReconciliationsRequest())
    asked: Any = ReconcilerServiceStub(running.channel("audit", as_service="operator"))
    done = (await asked.Reconcile(audit.ReconcileRequest())).reconciliations
    assert [(one.check, one.differences) for one in done] == [("events against entries", 0), ("events not in the log", 0)]
