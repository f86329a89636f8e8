"""Who runs an import: one process at a time; a dead one's job is taken up, and a sleeping one's writes are refused."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from postlaw.subscribers.v1 import subscribers_pb2 as pb
from postlaw_common.store import Collection, Document
from postlaw_common.store.changing import change
from postlaw_common.testing.patience import patience
from postlaw_subscribers.settings import SubscribersSettings
from postlaw_subscribers.use_cases import run_import

PEOPLE = b"email\n" + b"".join(b"p%d@example.com\n" % i for i in range(50))


async def taken_over(documents: Collection, id: str) -> tuple[Document, Document]:
    """The job before and after another runner took it."""

    def by_another(found: Document | None) -> Document:
        assert found is not None
        return found | {"owner": "another", "epoch": found["epoch"] + 1}

    before, after = await change(documents, id, by_another)
    assert before is not None and after is not None
    return before, after


async def test_a_runner_shows_that_it_lives_however_long_a_batch_takes(world: Any) -> None:
    """Else two runners on a slow store would take the job from each other by turns, and it would come to no end."""
    list_id = await world.make_list()
    world.consent.hold = asyncio.Event()
    started = await world.upload(list_id, PEOPLE)
    while not world.consent.calls:
        await asyncio.sleep(0.01)
    documents = world.backing.store("subscribers").collection("imports")
    at = await documents.get(f"ten_a/{started.import_id}")
    async with patience():
        while (now := await documents.get(at["_id"]))["v"] < at["v"] + 3:
            await asyncio.sleep(0.01)
    assert (now["owner"], now["epoch"], now["counts"]["rows"]) == (at["owner"], at["epoch"], 0)
    world.consent.hold.set()
    done = await world.finished(started)
    assert (done.rows, done.added) == (50, 50)
    assert (await documents.get(at["_id"]))["epoch"] == at["epoch"]


async def test_a_runner_that_was_taken_over_cannot_write_again(world: Any, until: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A runner sleeps in the middle of a batch; another raises the epoch; the sleeper wakes and must not count anything."""
    clock = SimpleNamespace(now=0.0)  # stands still until the lease is to end, however slow the machine is
    monkeypatch.setattr(run_import, "time", SimpleNamespace(monotonic=lambda: clock.now))
    list_id = await world.make_list()
    world.consent.hold = asyncio.Event()
    started = await world.upload(list_id, PEOPLE)

    async def called() -> bool:
        return world.consent.calls > 0

    await until(called)
    documents = world.backing.store("subscribers").collection("imports")
    sleeping, taken = await taken_over(documents, f"ten_a/{started.import_id}")
    world.consent.hold.set()
    await asyncio.sleep(0.1)
    now = await documents.get(sleeping["_id"])
    assert (now["owner"], now["counts"]["rows"]) == ("another", 0)
    assert now["v"] == taken["v"]
    # The other one never shows a sign of life: after a lease the job is taken up again, and nobody is counted twice.
    running = asyncio.ensure_future(world.finished(started))
    while not running.done():
        clock.now += 1.0
        await asyncio.sleep(0.05)
    done = await running
    assert (done.rows, done.added) == (50, 50)
    assert (await documents.get(sleeping["_id"]))["epoch"] == sleeping["epoch"] + 2


async def test_another_runners_job_is_left_alone_for_a_lease(world: Any) -> None:
    await world.stop()
    world.settings = SubscribersSettings(import_lease_s=60)
    await world.start()
    list_id = await world.make_list()
    world.consent.hold = asyncio.Event()
    documents = world.backing.store("subscribers").collection("imports")
    started = await world.upload(list_id, PEOPLE)
    while not world.consent.calls:
        await asyncio.sleep(0.01)
    at, _ = await taken_over(documents, f"ten_a/{started.import_id}")
    world.consent.hold.set()
    for _ in range(4):  # each upload wakes the runner, which looks at all jobs that wait
        await world.imported(list_id, b"email\n")
    now = await documents.get(at["_id"])
    assert (now["owner"], now["epoch"]) == ("another", at["epoch"] + 1)
    assert (await world.stub().GetImport(pb.GetImportRequest(import_id=started.import_id))).rows == 0
