"""Services that run in this process: how they are started, in which order, and stopped again (service.py states the order)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, NoReturn

from postlaw_common import telemetry
from postlaw_common.opening import Backing, StartRefused
from postlaw_common.platform import Platform
from postlaw_common.rpc.channel import MeshChannel
from postlaw_common.rpc.context_token import ContextVerifier, KeySource
from postlaw_common.rpc.server import MeshServer
from postlaw_common.rpc.signing_keys import keys_of_identity
from postlaw_common.rpc.tls import Identities
from postlaw_common.service import Background, Service
from postlaw_common.settings import PlatformSettings

if TYPE_CHECKING:
    from postlaw_common.http_serving import HttpServer

Builder = Callable[[Platform], Service]

_log = telemetry.get_logger(__name__)


class BackgroundFailed(Exception):
    """A background ended with an exception, which is its cause; the process must stop."""


class Running:
    """Services that run. `services` and `ports` (gRPC), `http_ports` by service name; `backing` is what they stand on."""

    def __init__(self, settings: PlatformSettings, backing: Backing) -> None:
        self.settings = settings
        self.backing = backing
        self.services: dict[str, Service] = {}
        self.ports: dict[str, int] = {}
        self.http_ports: dict[str, int] = {}
        self.ready = False
        self.failed: asyncio.Future[NoReturn] = asyncio.get_running_loop().create_future()
        self._servers: list[MeshServer] = []
        self._http: list[HttpServer] = []
        self._backgrounds: list[asyncio.Task[None]] = []
        self._started: list[Service] = []
        self._consuming: list[Callable[[], Awaitable[None]]] = []

    def channel(self, service: str, *, as_service: str, token: Callable[[], bytes] | None = None, near: bool = False) -> MeshChannel:
        """A channel with another service's certificate, for whoever runs the services; `near`, as services of one process call."""
        return self.backing.directory.channel(service, lambda: as_service, token, near=near)

    def build(self, builders: Sequence[Builder]) -> None:
        for builder in builders:
            name: list[str] = []
            service = builder(self.backing.platform_for(lambda name=name: name[0]))
            name.append(service.name)
            if service.name in self.services:
                raise StartRefused(f"the service {service.name} was to run twice in one process")
            self.services[service.name] = service

    async def start(self, identities: Identities, key_source: KeySource | None) -> None:
        services = list(self.services.values())
        await self.backing.start(services)
        for service in services:
            self._started.append(service)
            if service.on_start:
                await service.on_start()
        for service in services:
            await self._serve(service, identities, key_source)
        for service in services:
            await self._work(service)
        self._begin(Background("generation", self.backing.watch_generation), "the bus")
        for http in self._http:
            await http.start()
        self.backing.directory.publish(self.settings.state)
        for server in self._servers:
            await server.set_ready(True)
        self.ready = True

    async def _serve(self, service: Service, identities: Identities, key_source: KeySource | None) -> None:
        if service.servicers:
            source = key_source or keys_of_identity(self.backing.directory.channel("identity", lambda: service.name))
            server = MeshServer(identities(service.name), ContextVerifier(source), service.servicers)
            listen = self.settings.listen
            self.ports[service.name] = port = server.bind(f"{listen}:{self.settings.grpc_port.get(service.name, 0)}")
            self._servers.append(server)
            await server.start()
            self.backing.directory.doors[service.name] = server.door
            self.backing.directory.here[service.name] = f"{'127.0.0.1' if listen == '0.0.0.0' else listen}:{port}"
        if service.http_app is not None:
            http = self._http_server(service.name, service.http_app)
            self.http_ports[service.name] = http.bind(self.settings.listen, self.settings.http_port_of(service.name))

    def _http_server(self, name: str, app: object) -> HttpServer:
        from postlaw_common.http_serving import HttpServer  # uvicorn, which most services never need

        server = HttpServer(name, app, is_ready=lambda: self.ready, trusted_proxies=self.settings.trusted_proxies)
        self._http.append(server)
        return server

    async def _work(self, service: Service) -> None:
        for consumer in service.consumers:
            self._consuming.append(consumer.stop)
            await consumer.start(self.backing.bus)
        for background in service.backgrounds:
            self._begin(background, service.name)

    def _begin(self, background: Background, whose: str) -> None:
        task = asyncio.create_task(_run(background.run), name=f"{whose} {background.name}")
        self._backgrounds.append(task)
        self._watch(task, f"{whose}: {background.name}")

    def _watch(self, task: asyncio.Task[None], what: str) -> None:
        def ended(task: asyncio.Task[None]) -> None:
            failure = None if task.cancelled() else task.exception()
            if failure is not None and not self.failed.done():
                failed = BackgroundFailed(f"{what} failed: {telemetry.describe(failure)}")
                failed.__cause__ = failure
                self.failed.set_exception(failed)
                self.failed.exception()  # seen: whoever waits gets it, and nobody need wait

        task.add_done_callback(ended)

    async def probes(self) -> None:
        """Serves the probes on the health port, before anything else is started."""
        if self.settings.health_port is not None:
            http = self._http_server("health", None)
            self.http_ports["health"] = http.bind(self.settings.listen, self.settings.health_port)
            await http.start()

    async def stop(self) -> None:
        """In order, within the drain deadline; a step that fails is logged and the next one goes on."""
        ends = asyncio.get_running_loop().time() + self.settings.drain_s

        def left() -> float:
            return max(0.05, ends - asyncio.get_running_loop().time())

        self.ready = False
        for server in self._servers:
            await server.set_ready(False)
        self.backing.directory.withdraw(self.settings.state)
        await asyncio.sleep(self.settings.unready_s)
        await self._step("http", [http.drain(left()) for http in self._http], left())
        if len(self._servers) > 1:  # services of one process call each other: let the calls come to rest before a door closes
            await self._step("calls under way", [server.quiet(left() / 3) for server in self._servers], left())
        await self._step("grpc", [server.drain(left() / 2) for server in self._servers], left())
        for task in self._backgrounds:
            task.cancel()
        await self._step("backgrounds", [_ended(task) for task in self._backgrounds], left())
        await self._step("consumers", [stop() for stop in self._consuming], left())
        for service in reversed(self._started):
            if service.on_stop:
                await self._step(f"{service.name} on_stop", [service.on_stop()], left())
        await self._step("backing", [self.backing.close()], left() + 5)

    async def _step(self, name: str, work: Sequence[Awaitable[object]], seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                results = await asyncio.gather(*work, return_exceptions=True)
        except TimeoutError:
            _log.warning("a step of stopping took too long and was left", step=name)
            return
        for result in results:
            if isinstance(result, Exception):
                _log.error("a step of stopping failed", step=name, exc_info=result)


async def _run(run: Callable[[], Awaitable[None]]) -> None:
    await run()


async def _ended(task: asyncio.Task[None]) -> None:
    with contextlib.suppress(asyncio.CancelledError, Exception):
        await task
