"""Opens what services stand on, as settings say: bus, stores, blobs, keys, certificates. One for all services of a process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from postlaw_common.blobs import open_blobs
from postlaw_common.bus import Bus, BusUnavailable, Topic, open_bus
from postlaw_common.bus.generation import GenerationOver, Generations
from postlaw_common.keys import open_root_key
from postlaw_common.keys.platform import PLACEMENT, PLATFORM_KEYS, PlatformKeys
from postlaw_common.placement import Placement
from postlaw_common.platform import Platform
from postlaw_common.rpc.channel import MeshChannel
from postlaw_common.rpc.directory import Directory, published
from postlaw_common.rpc.tls import DevelopmentCA, Identities, TlsIdentity, identity_from_files
from postlaw_common.service import Service
from postlaw_common.settings import PlatformSettings, load
from postlaw_common.store import CollectionSpec, Store, open_store
from postlaw_common.telemetry import exporting

T = TypeVar("T")

PLATFORM_DATABASE = "platform"
GENERATION_EVERY_S = 5.0
SERVICE_IN_PATHS = "{service}"


class StartRefused(Exception):
    """The process cannot start; the message is one clear line."""


class Backing:
    """Made closed. `platform_for` hands it out, `start` opens it, `close` closes what was opened, in reverse."""

    def __init__(self, settings: PlatformSettings, identities: Identities, now_us: Callable[[], int] | None = None) -> None:
        state = str(settings.state)
        self._settings = settings
        self._now_us = now_us or (lambda: time.time_ns() // 1000)
        self.bus = _measured_bus(open_bus(settings.bus, state=state, partitions=settings.partitions), settings.bus)
        self.blobs = open_blobs(settings.blobs, state=state)
        self.root_key = open_root_key(settings.keys, state=state)
        self.directory = Directory(identities, settings.peer)
        self._stores: dict[str, Store] = {}
        self.platform_keys = PlatformKeys(self.store(PLATFORM_DATABASE), self.root_key)
        self._placement: Placement | None = None
        self._generations = Generations(self.bus)
        self._generation = ""
        self._opened: list[Callable[[], Awaitable[None]]] = []

    def store(self, database: str) -> Store:
        if database not in self._stores:
            opened = open_store(self._settings.store, database, state=str(self._settings.state))
            self._stores[database] = _measured_store(opened, self._settings.store, database)
        return self._stores[database]

    def placement(self) -> Placement:
        if self._placement is None:
            raise RuntimeError("the placement is not known before on_start; ask for it there, not in build")
        return self._placement

    def generation(self) -> str:
        if not self._generation:
            raise RuntimeError("the generation of the topics is not known before on_start; ask for it there, not in build")
        return self._generation

    def platform_for(self, name: Callable[[], str]) -> Platform:
        """What one builder gets. `name` is asked when the first call is made: the service has told its name by then."""
        return Platform(
            bus=self.bus,
            blobs=self.blobs,
            root_key=self.root_key,
            platform_keys=self.platform_keys,
            store=self.store,
            channel=lambda service: self.directory.channel(service, name, near=True),
            placement=self.placement,
            generation=self.generation,
            now_us=self._now_us,
            public_url=self._settings.public_url,
        )

    async def start(self, services: Sequence[Service]) -> None:
        try:
            self._settings.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as wrong:
            raise StartRefused(f"POSTLAW_STATE is {self._settings.state}: {wrong.strerror}; give a directory that we can write") from wrong
        for part in (self.root_key, self.bus, self.blobs):
            await part.start()
            self._opened.append(part.close)
        databases = self._databases(services)
        await asyncio.gather(*(self._start_store(name, specs) for name, specs in databases.items()))
        self._placement = Placement(await self.platform_keys.get(PLACEMENT), self.bus.partitions)
        topics: dict[str, Topic] = {topic.name: topic for service in services for topic in service.topics}
        await self.bus.ensure_topics(list(topics.values()))
        self._opened.append(self._generations.close)
        self._generation = await self._generations.begin()

    async def watch_generation(self) -> None:
        """Background: raises GenerationOver once the topics are not those with which this process began."""
        while True:
            await asyncio.sleep(GENERATION_EVERY_S)
            try:
                now = await self._generations.now()
            except BusUnavailable:
                continue
            if now != self._generation:
                raise GenerationOver(f"topics of generation {now or 'none'}, this process began with {self._generation}: start it again")

    def _databases(self, services: Sequence[Service]) -> dict[str, list[CollectionSpec]]:
        databases: dict[str, list[CollectionSpec]] = {PLATFORM_DATABASE: [PLATFORM_KEYS]}
        owners: dict[str, str] = {}
        for service in services:
            for name, specs in service.databases.items():
                owner = owners.setdefault(name, service.name)
                if owner != service.name and name != PLATFORM_DATABASE:
                    raise StartRefused(f"the services {owner} and {service.name} both claim the database {name}; a database has one owner")
                known = databases.setdefault(name, [])
                known.extend(spec for spec in specs if spec not in known)
        undeclared = sorted(set(self._stores) - set(databases))
        if undeclared:
            raise StartRefused(f"no service declares the database {undeclared[0]} in its `databases`, but one uses it")
        return databases

    async def _start_store(self, name: str, specs: Sequence[CollectionSpec]) -> None:
        store = self.store(name)
        await store.start(specs)
        self._opened.append(store.close)

    async def close(self) -> None:
        await self.directory.close()
        while self._opened:
            await self._opened.pop()()


def _measured_bus(bus: Bus, url: str) -> Bus:
    if not exporting():
        return bus
    from postlaw_common.bus.measured import MeasuredBus

    return MeasuredBus(bus, url.partition(":")[0])


def _measured_store(store: Store, url: str, database: str) -> Store:
    if not exporting():
        return store
    from postlaw_common.store.measured import MeasuredStore

    return MeasuredStore(store, url.partition(":")[0].partition("+")[0], database)


def identities_of(settings: PlatformSettings) -> Identities:
    """The certificates: from the files that settings name, whose paths say {service} where a process runs several, or made by the state's
    development CA.

    Raises TlsFilesWrong, StartRefused."""
    ca, certificate, key = settings.tls_ca, settings.tls_certificate, settings.tls_key
    if ca and certificate and key:
        return lambda service: identity_from_files(
            service, trusted=_of(service, ca), certificate=_of(service, certificate), key=_of(service, key)
        )
    try:
        authority = DevelopmentCA(settings.state / "tls")
    except (OSError, ValueError) as wrong:
        said = wrong.strerror if isinstance(wrong, OSError) else "the development CA in it cannot be read; move it away to make a new one"
        raise StartRefused(f"POSTLAW_STATE is {settings.state}: {said}; give a directory that we can write") from wrong
    known: dict[str, TlsIdentity] = {}
    return lambda service: known.setdefault(service, known.get(service) or authority.identity(service))


def _of(service: str, path: Path) -> Path:
    return Path(str(path).replace(SERVICE_IN_PATHS, service))


async def asked_as_operator(service: str, ask: Callable[[MeshChannel], Awaitable[T]]) -> T:
    """What a command that runs beside the services asks one of them. Raises PostlawError, WrongSettings, StartRefused, TlsFilesWrong."""
    directory = directory_from_outside(load(PlatformSettings))
    try:
        return await ask(directory.channel(service, lambda: "operator"))
    finally:
        await directory.close()


def directory_from_outside(settings: PlatformSettings) -> Directory:
    """Channels for a command that runs beside the services: to the peers that settings name, and to what a process on this machine
    has published: `directory.channel("identity", lambda: "operator")`. Close it afterwards."""
    return Directory(identities_of(settings), {**published(settings.state), **settings.peer})
