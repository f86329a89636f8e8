"""What workers stand on, in memory: a log, documents, a receiver of mail; and processes that can be paused and killed.

Whatever a worker does to the outside passes through its `Process`, which makes it wait while it is paused, and for ever once it is
killed: after its check and before its write as well as after its write and before it has learned of it.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from postlaw_common.bus import BusUnavailable, Received, Record, Topic
from postlaw_common.store import AlreadyExists, CollectionSpec, Document, StoreUnavailable, VersionConflict
from services.sending.tests.simulation.receiver import Receiver

PARTITIONS = 3
Place = tuple[str, int]


class World:
    """One run's truth. `calm`: no part ever fails by itself."""

    def __init__(self, chance: random.Random, *, calm: bool) -> None:
        self.chance = chance
        self.calm = calm
        self.loop = asyncio.get_running_loop()
        self.log: defaultdict[Place, list[Received]] = defaultdict(list)
        self.documents: defaultdict[str, dict[str, Document]] = defaultdict(dict)
        self.receiver = Receiver(self)
        self.checked: list[float] = []  # when a message had passed its worker's gate
        self.followed: list[float] = []  # when one was written whose commands had gone before
        self.bus_away = False
        self.store_away = False
        self.loses_answers = 0.0  # the share of store writes that take effect, and whose answer is lost
        self.loses_marks = 0.0  # the share of publishes that are refused, whatever else is well
        self.repeats = 0.0  # the share of reads that give records which were given before
        self._news = asyncio.Event()

    def append(self, record: Record) -> int:
        log = self.log[record.topic, record.partition]
        log.append(Received(record.topic, record.partition, len(log), record.value, record.key, record.headers, 0))
        self._news.set()
        self._news = asyncio.Event()
        return len(log) - 1

    def empty(self) -> None:
        """The topics are made anew."""
        for log in self.log.values():
            log.clear()

    async def news(self, timeout: float) -> None:
        try:
            async with asyncio.timeout(timeout):
                await self._news.wait()
        except TimeoutError:
            return


class Process:
    """Somebody who runs: a worker, or the API. `alive` and `running` are what a signal changes."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.alive = True
        self._runs = asyncio.Event()
        self._runs.set()
        self._later: list[Callable[[], None]] = []

    @property
    def running(self) -> bool:
        return self.alive and self._runs.is_set()

    async def step(self, longest: float = 0.004) -> None:
        """Some time passes; while we are paused, all of it. Once killed, nothing happens any more."""
        await asyncio.sleep(self.world.chance.uniform(0, longest))
        while not self.running:
            if self.alive:
                await self._runs.wait()
            else:
                await asyncio.get_running_loop().create_future()

    def whenever_running(self, act: Callable[[], None]) -> None:
        """Now, or as soon as we run again; never for one that was killed."""
        if self.running:
            act()
        elif self.alive:
            self._later.append(act)

    def pause(self) -> None:
        self._runs.clear()

    def resume(self) -> None:
        self._runs.set()
        later, self._later = self._later, []
        for act in later:
            self.whenever_running(act)

    def kill(self) -> None:
        self.alive = False
        self._later.clear()
        self.world.receiver.sender_killed(self)


class FakeBus:
    """The bus as one process sees it."""

    partitions = PARTITIONS

    def __init__(self, process: Process) -> None:
        self._process = process
        self._world = process.world

    async def start(self) -> None: ...

    async def ensure_topics(self, topics: Sequence[Topic]) -> None: ...

    async def publish(self, records: Sequence[Record]) -> list[int]:
        await self._process.step()
        if (self._world.bus_away and self._world.chance.random() < 0.5) or self._world.chance.random() < self._world.loses_marks:
            raise BusUnavailable("before")
        offsets = [self._world.append(record) for record in records]
        away = self._world.bus_away
        await self._process.step()
        if away:
            raise BusUnavailable("it is in the log, and we do not know")
        return offsets

    async def reader(self, *, unhurried: bool = False, standing: bool = False) -> FakeReader:
        await self._ask()
        return FakeReader(self._process)

    async def group(self, group: str, topics: Sequence[str]) -> Any:
        raise AssertionError("workers read by assignment")

    async def end_offset_client(self) -> FakeEnds:
        await self._ask()
        return FakeEnds(self._process)

    async def read_range(self, topic: str, partition: int, start: int, end: int) -> list[Received]:
        await self._ask()
        return self._world.log[topic, partition][start:end]

    async def close(self) -> None: ...

    async def _ask(self) -> None:
        await self._process.step()
        if self._world.bus_away:
            raise BusUnavailable("it is away")


class FakeReader:
    def __init__(self, process: Process) -> None:
        self._process = process
        self._world = process.world
        self._positions: dict[Place, int] = {}

    async def assign(self, positions: Mapping[Place, int]) -> None:
        self._positions = dict(positions)

    async def read(self, *, max_records: int = 500, timeout: float = 1.0, topic: str = "") -> list[Received]:
        await self._process.step()
        if self._world.bus_away:
            raise BusUnavailable("it is away")
        found = self._found(max_records, topic)
        if not found:
            await self._world.news(timeout)
            await self._process.step()
            found = self._found(max_records, topic)
        return found

    def _found(self, most: int, topic: str) -> list[Received]:
        found: list[Received] = []
        for place, position in self._positions.items():
            if topic not in ("", place[0]):
                continue
            if self._world.chance.random() < self._world.repeats:
                position = max(0, position - self._world.chance.randrange(1, 5))
            log = self._world.log[place]
            if position > len(log):
                raise BusUnavailable("the log ends before: was it replaced?")
            records = log[position : position + most - len(found)]
            found += records
            self._positions[place] = position + len(records)
        return found

    async def close(self) -> None: ...


class FakeEnds:
    def __init__(self, process: Process) -> None:
        self._process = process

    async def end_offsets(self, partitions: Sequence[Place]) -> dict[Place, int]:
        await self._process.step()
        if self._process.world.bus_away:
            raise BusUnavailable("it is away")
        ends = {place: len(self._process.world.log[place]) for place in partitions}
        await self._process.step()
        return ends

    async def close(self) -> None: ...


class FakeStore:
    def __init__(self, process: Process) -> None:
        self._process = process

    async def start(self, collections: Sequence[CollectionSpec]) -> None: ...

    def collection(self, name: str) -> FakeCollection:
        return FakeCollection(self._process, self._process.world.documents[name])

    async def close(self) -> None: ...


class FakeCollection:
    """While the store is away, a write is refused, lost on its way, or arrives seconds after its sender has given up."""

    def __init__(self, process: Process, documents: dict[str, Document]) -> None:
        self._process = process
        self._world = process.world
        self._documents = documents

    async def _before(self) -> None:
        await self._process.step()
        if self._world.store_away:
            raise StoreUnavailable("it is away")

    async def insert(self, document: Document) -> None:
        await self._before()
        if document["_id"] in self._documents:
            raise AlreadyExists(document["_id"])
        self._documents[document["_id"]] = {**deepcopy(document), "v": 1}
        await self._process.step()

    async def insert_many(self, documents: Sequence[Document]) -> set[str]:
        raise AssertionError("workers insert one by one")

    async def insert_in_order(self, documents: Sequence[Document]) -> int:
        raise AssertionError("workers insert one by one")

    async def replace_many(self, documents: Sequence[Document]) -> None:
        raise AssertionError("workers replace one by one")

    async def get(self, id: str, *, linearizable: bool = False) -> Document | None:
        await self._before()
        found = deepcopy(self._documents.get(id))
        await self._process.step()
        return found

    async def get_many(self, ids: Sequence[str]) -> dict[str, Document]:
        return {id: found for id in ids if (found := await self.get(id)) is not None}

    async def replace(self, document: Document, *, version: int) -> Document:
        document = deepcopy(document)  # it goes onto the wire now
        await self._process.step()
        if self._world.store_away:
            if self._world.chance.random() < 0.4:
                self._world.loop.call_later(self._world.chance.uniform(0, 8), self._arrive, document, version)
            await asyncio.sleep(0.5)
            await self._process.step()
            raise StoreUnavailable("no answer")
        if not self._arrive(document, version):
            await self._process.step()
            raise VersionConflict(document["_id"])
        await self._process.step()
        if self._world.chance.random() < self._world.loses_answers:
            raise StoreUnavailable("it is written, and we do not know")
        return {**document, "v": version + 1}

    def _arrive(self, document: Document, version: int) -> bool:
        found = self._documents.get(document["_id"])
        if found is None or found["v"] != version:
            return False
        self._documents[document["_id"]] = {**document, "v": version + 1}
        return True

    async def delete(self, id: str, *, version: int | None = None) -> bool:
        await self._before()
        return self._documents.pop(id, None) is not None

    async def find(self, field: str, value: str | bytes, *, after: str = "", limit: int = 1000) -> list[Document]:
        raise AssertionError("workers know their documents by name")

    def under(self, prefix: str, *, after: str = "", size: int = 1000) -> AsyncGenerator[list[Document]]:
        raise AssertionError("workers know their documents by name")

    async def scan(self, field: str | None = None, value: str | bytes | None = None, *, after: str = "") -> AsyncGenerator[list[Document]]:
        await self._before()
        found = deepcopy(list(self._documents.values()))
        await self._process.step()
        yield found

    async def count(self, field: str | None = None, value: str | bytes | None = None) -> int:
        return len(self._documents)
