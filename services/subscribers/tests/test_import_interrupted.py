"""An import that crashes or is cancelled: it goes on where it was, and counts nobody twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from postlaw.subscribers.v1 import subscribers_pb2 as pb
from postlaw_common.errors import Conflict
from postlaw_common.testing.promises import promise
from postlaw_subscribers.domain.csv_rows import Row
from postlaw_subscribers.use_cases.import_batch import Candidate, stretches

from .import_files import counts, finished_after_a_crash, rows

Until = Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]]


@promise("S8")
@pytest.mark.parametrize("together", [4000, 70], ids=["whole", "in parts"])
async def test_a_crash_before_the_checkpoint_leaves_the_totals_exact(world: Any, monkeypatch: pytest.MonkeyPatch, together: int) -> None:
    monkeypatch.setattr("postlaw_subscribers.use_cases.run_import.TOGETHER", together)
    list_id = await world.make_list()
    done = await finished_after_a_crash(world, list_id, rows(300) + b"p5@example5.com,Again\nbroken,X\n")
    assert counts(done) == (302, 300, 0, 0, 2)
    assert len(await world.audience(list_id)) == 300
    assert len(world.consent.records) == 300


def test_a_batch_is_stored_in_stretches_of_address_keys_of_one_size() -> None:
    candidates = [Candidate(Row(n, []), bytes([n]), "", "", {}) for n in range(25)]
    for longest, sizes in ((25, [25]), (24, [12, 13]), (10, [8, 8, 9]), (1, [1] * 25)):
        parts = list(stretches(candidates, longest))
        assert [len(part) for part in parts] == sizes
        assert [candidate for part in parts for candidate in part] == candidates
    assert list(stretches([], 10)) == []


@promise("A1")
async def test_cancelled_halfway_and_resumed_it_ends_as_if_never_cancelled(world: Any, until: Until) -> None:
    list_id = await world.make_list()
    world.consent.hold = asyncio.Event()
    started = await world.upload(list_id, rows(15_000))

    async def called() -> bool:
        return world.consent.calls > 0

    await until(called)
    stub = world.stub()
    cancelled = await stub.CancelImport(pb.GetImportRequest(import_id=started.import_id))
    assert cancelled.state == pb.Import.STATE_CANCELLED
    world.consent.hold.set()

    async def counted() -> bool:
        return (await stub.GetImport(pb.GetImportRequest(import_id=started.import_id))).rows > 0

    await until(counted)
    halfway = await stub.GetImport(pb.GetImportRequest(import_id=started.import_id))
    assert halfway.state == pb.Import.STATE_CANCELLED
    assert 0 < halfway.rows < 15_000
    await stub.ResumeImport(pb.GetImportRequest(import_id=started.import_id))
    done = await world.finished(started)
    assert counts(done) == (15_000, 15_000, 0, 0, 0)
    with pytest.raises(Conflict):
        await stub.ResumeImport(pb.GetImportRequest(import_id=started.import_id))
    events = [event for event in await world.events() if event.type == "postlaw.subscribers.ImportChanged"]
    changes = [pb.ImportChanged.FromString(event.data) for event in events]
    S = pb.Import
    assert [(one.before, getattr(one, "import").state) for one in changes] == [
        (S.STATE_UNSPECIFIED, S.STATE_QUEUED), (S.STATE_RUNNING, S.STATE_CANCELLED), (S.STATE_CANCELLED, S.STATE_QUEUED),
    ]  # fmt: skip
    assert all(event.actor.startswith("api_key:") for event in events)
