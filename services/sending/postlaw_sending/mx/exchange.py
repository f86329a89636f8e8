"""Connections to other people's servers: opened by route, kept a little while, and not opened where a server has just turned us away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from postlaw_sending.delivery import CannotConnect, Connection, Relay, connect
from postlaw_sending.domains.dns import DnsUnknown
from postlaw_sending.mx.hosts import Host, MailHosts, TakesNoMail
from postlaw_sending.stop.holding import BOUNCED, DEFERRED
from postlaw_sending.worker.routes import Route, Unreachable

IDLE_S = 5.0
FIRST_REST_S = 30.0
LONGEST_REST_S = 900.0


@dataclass(slots=True)
class _Rest:
    """A route that is left alone for a while. `until`: monotonic seconds; `times`: in a row."""

    reason: str
    until: float
    times: int


class MxExchange:
    """`relay` makes the settings of one server, of its name and its addresses; `connections`: at one time, all together."""

    def __init__(
        self,
        hosts: MailHosts,
        relay: Callable[[Route, str, tuple[str, ...]], Relay],
        connections: int,
        *,
        connect: Callable[[Relay], Awaitable[Connection]] = connect,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hosts = hosts
        self._relay = relay
        self._connect = connect
        self._monotonic = monotonic
        self._places = asyncio.Semaphore(connections)
        self._idle: dict[tuple[str, str], list[Connection]] = {}
        self._rests: dict[Route, _Rest] = {}

    def most(self, route: Route) -> int:
        return 2

    @asynccontextmanager
    async def connection(self, route: Route) -> AsyncGenerator[Connection]:
        """Raises Unreachable."""
        rest = self._rests.get(route)
        if rest is not None and self._monotonic() < rest.until:
            raise Unreachable(DEFERRED, rest.reason)
        async with self._places:
            hosts = await self._found(route)
            connection = self._idle_to(route, hosts) or await self._open(route, hosts)
            before = connection.accepted
            try:
                yield connection
            finally:
                if connection.alive:
                    self._keep(route, connection)
                if connection.accepted > before:
                    self._rests.pop(route, None)
                elif not connection.alive:
                    self._turn_away(route, "0 the server ended the connection before it took a message")

    async def _found(self, route: Route) -> list[Host]:
        try:
            return await self._hosts.of(route.domain)
        except TakesNoMail as never:
            raise Unreachable(BOUNCED, str(never)) from never
        except DnsUnknown as unknown:
            raise Unreachable(DEFERRED, "451 4.4.3 the domain's mail servers could not be looked up") from unknown

    async def _open(self, route: Route, hosts: Sequence[Host]) -> Connection:
        why = "none of the domain's mail servers has an address that is mailed to"
        for host in hosts:
            try:
                addresses = await self._hosts.addresses(host.name)
                if addresses:
                    return await self._connect(self._relay(route, host.name, addresses))
            except DnsUnknown:
                why = "the address of a mail server could not be looked up"
            except CannotConnect as failed:
                why = str(failed)
        raise self._turn_away(route, f"451 4.4.1 {why}")

    def _turn_away(self, route: Route, reason: str) -> Unreachable:
        """For longer each time in a row."""
        times = self._rests[route].times + 1 if route in self._rests else 1
        rest_s = min(LONGEST_REST_S, FIRST_REST_S * 2 ** (times - 1))
        self._rests[route] = _Rest(reason, self._monotonic() + rest_s, times)
        return Unreachable(DEFERRED, reason)

    def _idle_to(self, route: Route, hosts: Sequence[Host]) -> Connection | None:
        for host in hosts:
            kept = self._idle.get((route.pool, host.name), [])
            while kept:
                connection = kept.pop()
                if connection.alive:
                    return connection
        return None

    def _keep(self, route: Route, connection: Connection) -> None:
        """For whoever is next to be mailed there: many domains share a server."""
        kept = self._idle.setdefault((route.pool, connection.relay.host), [])
        kept.append(connection)

        async def leave() -> None:
            if connection in kept:
                kept.remove(connection)
                await connection.close()

        asyncio.get_running_loop().call_later(IDLE_S, lambda: asyncio.ensure_future(leave()))

    async def close(self) -> None:
        await asyncio.gather(*(connection.close() for kept in self._idle.values() for connection in kept))
