"""Audit processes killed and paused at their durable steps: no record of the bus is dropped or entered twice, and the log never forks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest

from postlaw_common.testing.backing import Backing
from postlaw_common.testing.backing.kafka import LocalKafka
from postlaw_common.testing.backing.mongodb_wire import LocalMongoWire
from postlaw_common.testing.backing.processes import listening
from postlaw_common.testing.promises import promise
from tests.faults.audited import Audited, Parts, postlaw

# Behind every durable step, and before the checkpoint, when all that it covers is there; audit_process.py says what the words mean. The low
# numbers are of a writer that takes over, and derives what the one before it left.
POINTS = [
    "take:after:1",
    "segment:after:2",
    "index:after:1",
    "commit:after:2",
    "tile:after:2",
    "checkpoint:before:1",
    "checkpoint:after:1",
    "tile:after:16",
    "index:after:9",
    "checkpoint:before:3",
    "checkpoint:after:3",
    "sweep:after:1",
]
PAUSES = ["checkpoint:before:3", "commit:before:3", "tile:before:16"]


@pytest.fixture(scope="module")
def parts(backing: Backing, s3_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    home = tmp_path_factory.mktemp("audited")
    made = Parts(home, LocalKafka(home / "kafka", backing.local.kafka_libs), LocalMongoWire(home / "mongodb", backing.local.bin), s3_url)
    yield made
    made.stop()
    made.server.remove()


@pytest.fixture
async def audited(parts: Parts) -> AsyncGenerator[Audited]:
    parts.start()
    made = Audited(parts)
    await made.start()
    yield made
    await made.close()


async def whole(audited: Audited, notes: list[str], tmp_path: Path) -> None:
    """The last process has caught up and ended; what it leaves is right to the last record."""
    await audited.caught_up()
    audited.end()
    verified = postlaw("audit", "verify", "--json", env=audited.parts.environment | {"POSTLAW_STATE": str(tmp_path)})
    assert (verified.returncode, json.loads(verified.stdout)["valid"]) == (0, True), verified.stdout
    await audited.continues(notes)
    await audited.is_entered_once()
    await audited.is_found_by_id()


@promise("A3")
async def test_a_log_whose_writers_are_killed_at_every_step_drops_and_repeats_nothing(audited: Audited, tmp_path: Path) -> None:
    await audited.process(FAULTS_DIE_AT="key:after:1").gone()
    points, notes = iter(POINTS), list[str]()

    async def die_one_after_the_other() -> None:
        for point in points:
            await audited.process(FAULTS_DIE_AT=point).gone()
            notes.append(await audited.note())

    async with audited.happening():
        await asyncio.gather(*(die_one_after_the_other() for _ in range(3)))
    audited.process()
    await whole(audited, notes, tmp_path)


@promise("A3")
async def test_writers_that_stood_still_beyond_their_lease_and_go_on_fork_no_log(audited: Audited, tmp_path: Path) -> None:
    notes = list[str]()
    async with audited.happening():
        stopped = [audited.process(FAULTS_PAUSE_AT=point) for point in PAUSES]
        await asyncio.gather(*(process.stands_still() for process in stopped))
        notes.append(await audited.note())
        last = audited.process()
        await audited.grows()
        for process in stopped:
            process.resume()
        await asyncio.gather(*(process.steps_down() for process in stopped))
        notes.append(await audited.note())
        await audited.grows()
        assert await audited.owner() == last.pid
    await whole(audited, notes, tmp_path)


@promise("A3")
async def test_a_log_is_verified_from_its_bucket_and_from_a_folder_where_nothing_of_ours_runs(audited: Audited, tmp_path: Path) -> None:
    audited.process()
    await audited.publish(300)
    await audited.caught_up()
    audited.end()
    copy, key = await audited.copy(tmp_path / "copy"), await audited.key()
    size = len(await audited.entries())
    audited.parts.stop()
    assert not any(listening(port) for port in audited.parts.ports)
    nothing = {"POSTLAW_STATE": str(tmp_path / "state")}
    for where, environment in ((audited.parts.bucket, nothing | audited.parts.credentials), (str(copy), nothing)):
        verified = postlaw("audit", "verify", where, "--key", key, "--json", env=environment)
        found = json.loads(verified.stdout)
        assert (verified.returncode, found["valid"], found["size"]) == (0, True, size), verified.stdout + verified.stderr
