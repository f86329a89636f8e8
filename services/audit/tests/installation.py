"""An installation of the embedded adapters with a log on it, and writers as many as a test wants."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from postlaw_audit.index import EVENT_INDEX, EventIndex
from postlaw_audit.log_state import LOG, LogStates
from postlaw_audit.notes import Checkpoint, sign, verifier_key
from postlaw_audit.publishing import Publisher
from postlaw_audit.reader import LogReader
from postlaw_audit.sources import BlobFiles
from postlaw_audit.witnessing import Witnessing
from postlaw_audit.writer import Writer
from postlaw_common.blobs.embedded import EmbeddedBlobs
from postlaw_common.bus import Topic
from postlaw_common.bus.embedded import EmbeddedBus
from postlaw_common.errors import Unavailable
from postlaw_common.events import new_event, to_record
from postlaw_common.store.embedded import EmbeddedStore
from postlaw_common.testing.patience import patience

TOPICS = ("postlaw.consent.events.v1", "postlaw.sending.outcomes.v1")
ORIGIN = "test.example/log"


class Installation:
    def __init__(self, tmp_path: Path) -> None:
        self._at = tmp_path
        self.bus = EmbeddedBus(str(tmp_path), partitions=4)
        self.store = EmbeddedStore(str(tmp_path), "audit")
        self.blobs = EmbeddedBlobs(str(tmp_path))
        self.files = BlobFiles(self.blobs)
        self.key = Ed25519PrivateKey.generate()
        self.index = EventIndex(lambda: self.store.collection(EVENT_INDEX.name))
        self.reader = LogReader(self.blobs, self.index)

    async def set_back(self, to: bytes | None) -> None:
        """The bus becomes what its file held once, or an empty one. Nothing may be using it."""
        await self.bus.close()
        for file in self._at.glob("bus.db*"):
            file.unlink()
        if to is not None:
            (self._at / "bus.db").write_bytes(to)
        await self.start_bus()

    async def start_bus(self) -> None:
        self.bus = EmbeddedBus(str(self._at), partitions=4)
        await self.bus.start()
        await self.bus.ensure_topics([Topic(name) for name in TOPICS])

    async def copy(self) -> bytes:
        """What the bus's file holds now. Nothing may be using it."""
        await self.bus.close()
        held = (self._at / "bus.db").read_bytes()
        await self.start_bus()
        return held

    def states(self, name: str, monotonic: Callable[[], float] = time.monotonic) -> LogStates:
        return LogStates(lambda: self.store.collection(LOG.name), name, monotonic)

    def publisher(self) -> Publisher:
        def signed(checkpoint: Checkpoint) -> str:
            return sign(checkpoint, self.key)

        return Publisher(self.blobs, signed, ORIGIN)

    def writer(self, name: str, states: LogStates | None = None, witnessing: Witnessing | None = None) -> Writer:
        publisher = witnessing.publisher if witnessing else self.publisher()
        return Writer(self.bus, self.blobs, states or self.states(name), self.index, TOPICS, publisher, lambda: None, witnessing)

    @property
    def verifier(self) -> str:
        return verifier_key(ORIGIN, self.key.public_key().public_bytes_raw())

    async def publish(self, count: int) -> list[str]:
        events = [new_event("x", b"%d" % i, source="consent", subject=f"s{i}", sequence=1, tenant_id="ten_1") for i in range(count)]
        await self.bus.publish([to_record(event, TOPICS[i % 2], i % 4) for i, event in enumerate(events)])
        return [event.id for event in events]

    async def size(self) -> int:
        try:
            return (await self.reader.checkpoint())[0].size
        except Unavailable:
            return 0

    async def reaches(self, size: int) -> None:
        async with patience():
            while await self.size() < size:
                await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def running(writer: Writer) -> AsyncGenerator[None]:
    task = asyncio.create_task(writer.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
