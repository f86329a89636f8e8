"""Audit processes on a Kafka, a MongoDB-wire server and a bucket of their own; events for them; and the bus held against the log."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import secrets
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw_audit.domain.tiles import GrowingTree
from postlaw_audit.entries import DATA_LIMIT, entries_of
from postlaw_audit.index import EVENT_INDEX, EventIndex
from postlaw_audit.log_state import LOG, LogStates
from postlaw_audit.notes import parse_checkpoint
from postlaw_audit.reader import LogReader
from postlaw_audit.sources import CHECKPOINT, PREFIX, VERIFIER_KEY, BlobFiles
from postlaw_audit.verifying import bundles
from postlaw_common.blobs import open_blobs
from postlaw_common.bus import Record, open_bus
from postlaw_common.bus.once import end_offsets, whole_topic
from postlaw_common.contracts import event_topics
from postlaw_common.events import new_event, to_record
from postlaw_common.store import open_store
from postlaw_common.testing.backing.kafka import LocalKafka
from postlaw_common.testing.backing.mongodb_wire import LocalMongoWire
from postlaw_common.testing.patience import patience
from tests.faults.audit_process import run
from tests.faults.harness import bare

PARTITIONS = 4
TOPICS = ("postlaw.consent.events.v1", "postlaw.sending.outcomes.v1")
LEASE_S = 0.7
Place = tuple[str, int]
FORKING = multiprocessing.get_context("forkserver")
FORKING.set_forkserver_preload(["tests.faults.audit_process"])


class Parts:
    """A broker, a database server and a place in a bucket, for one log. `start` them again whenever they may have been stopped."""

    def __init__(self, home: Path, broker: LocalKafka, server: LocalMongoWire, s3_url: str) -> None:
        self.home, self.broker, self.server = home, broker, server
        bucket, _, options = s3_url.partition("?")
        self.bucket = f"{bucket}/audited-{secrets.token_hex(4)}?{options}"

    def start(self) -> None:
        if self.broker.program.pid is None:
            self.broker.start()
        if self.server.program.pid is None:
            self.server.start()

    def stop(self) -> None:
        self.broker.kill()
        self.server.stop()

    @property
    def credentials(self) -> dict[str, str]:
        """That the bucket asks for."""
        return {name: value for name, value in os.environ.items() if name.startswith("AWS_")}

    @property
    def ports(self) -> list[int]:
        return [urlsplit(url).port or 0 for url in (self.broker.url, self.server.url)]

    @property
    def environment(self) -> dict[str, str]:
        return {
            **self.credentials,
            "POSTLAW_BUS": self.broker.url,
            "POSTLAW_STORE": self.server.url,
            "POSTLAW_BLOBS": self.bucket,
            "POSTLAW_STATE": str(self.home / "state"),
            "POSTLAW_PARTITIONS": str(PARTITIONS),
            "POSTLAW_GRPC_PORT_AUDIT": "0",
            "FAULTS_LEASE_S": str(LEASE_S),
        }


class Audited:
    """The audit processes of a test, and its own clients of their parts."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        state = str(parts.home)
        self.bus = open_bus(parts.broker.url, state=state, partitions=PARTITIONS)
        self.store = open_store(parts.server.url, "audit", state=state)
        self.blobs = open_blobs(parts.bucket, state=state)
        self.files = BlobFiles(self.blobs)
        self.processes: list[Audit] = []

    async def start(self) -> None:
        await self.bus.start()
        await self.store.start([LOG, EVENT_INDEX])
        await self.blobs.start()

    async def close(self) -> None:
        self.end()
        await self.bus.close()
        await self.store.close()
        await self.blobs.close()

    def end(self) -> None:
        """All processes, in order."""
        for process in self.processes:
            process.is_to_end()
        for process in self.processes:
            process.ended()

    def process(self, **faults: str) -> Audit:
        """One more. `faults`: see audit_process.py."""
        name = "-".join(["audit", str(len(self.processes)), secrets.token_hex(2), *faults.values()])
        made = Audit(self.parts.home / f"{name}.log", self.parts.environment | faults)
        self.processes.append(made)
        return made

    async def publish(self, count: int) -> None:
        """Events on two topics; of each fifty a record is no event, and one takes more than an entry holds."""
        records: list[Record] = []
        for number in range(count):
            data = bytes(2 * DATA_LIMIT + 7) if number % 50 == 1 else b"%d" % number
            event = new_event("postlaw.test.Happened", data, source="test", subject=f"s{number}", sequence=1, tenant_id="ten_1")
            record = to_record(event, TOPICS[number % 2], number // 2 % PARTITIONS)
            records.append(Record(record.topic, record.partition, b"\xff\xfe") if number % 50 == 2 else record)
        await self.bus.publish(records)

    @asynccontextmanager
    async def happening(self) -> AsyncGenerator[None]:
        """Events all the while."""

        async def on_and_on() -> None:
            while True:
                await self.publish(50)
                await asyncio.sleep(0.2)

        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(on_and_on())
            yield
            task.cancel()

    async def note(self) -> str:
        """The checkpoint as it stands; "" before the first."""
        return (await self.blobs.get(PREFIX + CHECKPOINT) or b"").decode()

    async def entries(self) -> list[bytes]:
        """The log's, below its checkpoint."""
        note = await self.note()
        return [entry async for found in bundles(self.files, parse_checkpoint(note).size) for entry in found] if note else []

    async def held(self) -> dict[Place, list[bytes]]:
        """The log's entries by where their records stood on the bus, in the log's order."""
        held: dict[Place, list[bytes]] = defaultdict(list)
        for data in await self.entries():
            entry = audit.Entry.FromString(data)
            held[entry.topic, entry.partition].append(data)
        return held

    async def caught_up(self) -> None:
        """Returns once the log has all that stands on the bus now."""
        ends = await end_offsets(self.bus, [(topic, n) for topic in TOPICS for n in range(PARTITIONS)])
        before = ""
        async with patience():
            while True:
                if (await self.note()) == before:
                    await asyncio.sleep(0.1)
                    continue
                before, held = await self.note(), await self.held()
                if all(place in held and audit.Entry.FromString(held[place][-1]).offset >= end - 1 for place, end in ends.items()):
                    return

    async def owner(self) -> int:
        """The pid of the writer."""
        state = await LogStates(lambda: self.store.collection(LOG.name), "").read()
        assert state is not None
        return int(state.owner.split("-")[-2])

    async def grows(self) -> None:
        """Returns once some commits more are published."""
        seen = set[str]()
        async with patience():
            while len(seen) < 4:
                seen.add(await self.note())
                await asyncio.sleep(0.05)

    async def is_entered_once(self) -> None:
        """Every record has its entry, or all its entries, once, in order, byte for byte. To be asked when nothing happens any more."""
        wanted: dict[Place, list[bytes]] = defaultdict(list)
        ends = await end_offsets(self.bus, [(topic, n) for topic in event_topics() for n in range(PARTITIONS)])
        for topic in sorted({topic for (topic, _), end in ends.items() if end}):
            async with aclosing(whole_topic(self.bus, topic)) as pages:
                async for records in pages:
                    for record in records:
                        wanted[topic, record.partition] += [entry for _, entry in entries_of(record)]
        held = await self.held()
        assert {(topic, n) for topic in TOPICS for n in range(PARTITIONS)} <= held.keys() == wanted.keys()
        assert {place: len(entries) for place, entries in held.items() if entries != wanted[place]} == {}

    async def continues(self, notes: list[str]) -> None:
        """Each of these checkpoints was one of the log as it is now."""
        entries, tree = await self.entries(), GrowingTree()
        for checkpoint in sorted((parse_checkpoint(note) for note in notes if note), key=lambda one: one.size):
            tree.append(entries[tree.size : checkpoint.size])
            assert (tree.size, tree.root()) == (checkpoint.size, checkpoint.root)

    async def is_found_by_id(self) -> None:
        """A part of the events, each by its id, with a proof."""
        reader = LogReader(self.blobs, EventIndex(lambda: self.store.collection(EVENT_INDEX.name)))
        ids = [audit.Entry.FromString(entry).event_id for entry in await self.entries()]
        for event_id in [id for id in ids if id][::25]:
            assert audit.Entry.FromString((await reader.prove_event(event_id)).entry).event_id == event_id

    async def copy(self, folder: Path) -> Path:
        """The log's files in a folder."""
        async for key in self.blobs.keys(PREFIX):
            file = folder / key.removeprefix(PREFIX)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(await self.blobs.get(key) or b"")
        return folder

    async def key(self) -> str:
        return (await self.blobs.get(PREFIX + VERIFIER_KEY) or b"").decode().strip()


class Audit:
    """`python -m postlaw_audit`, wrapped so that it can be told where to die or to stand still. It is forked from a process that has loaded
    all its code: that takes longer than what is tested here."""

    def __init__(self, log: Path, environment: dict[str, str]) -> None:
        self._log = log
        self._process = FORKING.Process(target=run, args=(environment, str(log)), daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    async def gone(self) -> None:
        """Returns once it was killed: not by a failure of its own."""
        with suppress(TimeoutError):
            async with patience():
                while self._process.is_alive():
                    await asyncio.sleep(0.05)
        assert not self._process.is_alive(), f"{self._log} did not come to where it was to die"
        assert self._process.exitcode == -signal.SIGKILL, self._log.read_text()

    async def stands_still(self) -> None:
        async with patience():
            while _state_of(self.pid) != "T":
                assert self._process.is_alive(), self._log.read_text()
                await asyncio.sleep(0.05)

    def resume(self) -> None:
        if self._process.is_alive():
            os.kill(self.pid, signal.SIGCONT)

    async def steps_down(self) -> None:
        """Returns once it writes no more: its commit was refused, or it lost the bus while it stood still and found the log taken."""
        async with asyncio.timeout(30):
            while not any(event in self._log.read_text() for event in ("audit_writer_overtaken", "audit_writer_waits")):
                await asyncio.sleep(0.05)

    def is_to_end(self) -> None:
        """In order."""
        self.resume()
        self._process.terminate()

    def ended(self) -> None:
        self._process.join(20)
        assert self._process.exitcode in (0, -signal.SIGKILL), self._log.read_text()


def _state_of(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return ""


def postlaw(*words: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """`postlaw …` as a process that knows of no installation and no bucket but by `env`."""
    command = [sys.executable, "-m", "postlaw_mesh", *words]
    surroundings = {name: value for name, value in bare().items() if not name.startswith("AWS_")}
    return subprocess.run(command, env=surroundings | env, capture_output=True, text=True, check=False)
