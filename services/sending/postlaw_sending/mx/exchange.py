"""Connections to other people's servers: opened by route, as many as the receiver's shaping allows, and kept for whoever is next."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from postlaw_common.store import StoreUnavailable
from postlaw_sending.campaigns.domain.recipients import BUSY, TOMORROW
from postlaw_sending.delivery import CannotConnect, Connection, Relay, Reply, connect
from postlaw_sending.domains.dns import DnsUnknown
from postlaw_sending.mx.hosts import Host, MailHosts, TakesNoMail
from postlaw_sending.mx.pools import AllSpent
from postlaw_sending.mx.receivers import receiver_of
from postlaw_sending.mx.shaping import NoTurn, Resting, Shaping
from postlaw_sending.mx.sts import Policies
from postlaw_sending.mx.warm_up import WarmUp
from postlaw_sending.stop.holding import BOUNCED, DEFERRED
from postlaw_sending.worker.routes import Route, Unreachable

IDLE_S: Final = 5.0
TURN_S: Final = 10.0
HOSTS_TRIED: Final = 5  # whoever publishes fifty that do not answer holds a connection's place no longer
OPEN_WITHIN_S: Final = 60.0
_SHAPINGS_KEPT: Final = 50_000


class ShapedConnection:
    """One connection in one lane's hands: whatever becomes of its messages is told to the receiver's shaping. `left`: how many more it
    may carry."""

    def __init__(self, connection: Connection, shaping: Shaping, most: int) -> None:
        self.left = most
        self._connection = connection
        self._shaping = shaping
        self.transport = connection.transport
        self.room = connection.room
        self.settled = connection.settled
        self.cork = connection.cork
        self.uncork = connection.uncork
        self.cut_off = connection.cut_off

    @property
    def alive(self) -> bool:
        return self._connection.alive and self.left > 0 and not self._shaping.resting

    @property
    def has_room(self) -> bool:
        return self._connection.has_room and self.alive

    def hand_off(
        self, sender: bytes, recipient: bytes, message: bytes, done: Callable[[Reply], None], may_go_on: Callable[[], bool]
    ) -> None:
        self.left -= 1

        def heard(reply: Reply) -> None:
            self._shaping.heard(reply)
            done(reply)

        self._connection.hand_off(sender, recipient, message, heard, may_go_on)


class MxExchange:
    """`relay` makes the settings of one server: of the route, the server's name and addresses, and whether TLS has to be verified;
    `connections`: at one time, all together."""

    def __init__(
        self,
        hosts: MailHosts,
        policies: Policies,
        relay: Callable[[Route, str, tuple[str, ...], bool], Relay],
        connections: int,
        warm_up: WarmUp,
        *,
        connect: Callable[[Relay], Awaitable[Connection]] = connect,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hosts = hosts
        self._policies = policies
        self._relay = relay
        self._warm_up = warm_up
        self._connect = connect
        self._monotonic = monotonic
        self._places = asyncio.Semaphore(connections)
        self._idle: dict[tuple[str, str, bool], list[Connection]] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._shapings: dict[tuple[str, str], Shaping] = {}
        self._sites: dict[Route, Shaping] = {}  # of routes that were looked up

    def most(self, route: Route) -> int:
        return self._sites[route].allowed if route in self._sites else 1

    @asynccontextmanager
    async def connection(self, route: Route) -> AsyncGenerator[ShapedConnection]:
        """Raises Unreachable: what the receiver said or could not be reached for counts as an attempt, waiting for a turn does not."""
        hosts, verified = await self._found(route)
        shaping = self._shaping(route, hosts)
        try:
            async with shaping.turn(TURN_S), self._places:
                connection = self._idle_to(route, hosts, verified) or await self._open(route, hosts, shaping, verified)
                before = connection.accepted
                shaped = ShapedConnection(connection, shaping, await self._allowed(connection, shaping))
                try:
                    yield shaped
                finally:
                    self._warm_up.give_back(connection.source, shaped.left)
                    if connection.alive:
                        self._keep(route, connection, shaping, verified)
                    else:
                        shaping.ended(of_use=connection.accepted > before)
        except Resting as resting:
            raise Unreachable(DEFERRED, str(resting)) from resting
        except AllSpent as spent:
            raise Unreachable(DEFERRED, TOMORROW) from spent
        except NoTurn as late:
            raise Unreachable(DEFERRED, BUSY) from late

    async def _allowed(self, connection: Connection, shaping: Shaping) -> int:
        """How many messages it may carry now. Raises AllSpent."""
        try:
            most = await self._warm_up.take(connection.source, shaping.receiver.messages - connection.accepted)
        except StoreUnavailable as away:
            await connection.close()
            raise Unreachable(DEFERRED, BUSY) from away
        if most <= 0:
            await connection.close()
            raise AllSpent
        return most

    async def _found(self, route: Route) -> tuple[list[Host], bool]:
        """The servers, and whether a policy asks that TLS with them is verified."""
        try:
            hosts = await self._hosts.of(route.domain)
        except TakesNoMail as never:
            raise Unreachable(BOUNCED, str(never)) from never
        except DnsUnknown as unknown:
            raise Unreachable(DEFERRED, "451 4.4.3 the domain's mail servers could not be looked up") from unknown
        try:
            policy = await self._policies.enforced(route.domain)
        except StoreUnavailable as away:
            raise Unreachable(DEFERRED, BUSY) from away
        if policy is None:
            return hosts, False
        named = [host for host in hosts if policy.names(host.name)]
        if not named:
            raise Unreachable(DEFERRED, "451 4.7.10 none of the domain's servers is one that its MTA-STS policy names")
        return named, True

    def _shaping(self, route: Route, hosts: Sequence[Host]) -> Shaping:
        """Of the preferred server, by name: those of one preference are tried in any order."""
        first = min(hosts, key=lambda host: (host.preference, host.name)).name
        receiver = receiver_of(first)
        shaping = self._shapings.get((route.pool, receiver.site))
        if shaping is None:
            shaping = self._shapings[route.pool, receiver.site] = Shaping(receiver, self._monotonic)
            if len(self._shapings) > _SHAPINGS_KEPT:
                self._shapings.pop(next(iter(self._shapings)))
        self._sites[route] = shaping
        if len(self._sites) > _SHAPINGS_KEPT:
            self._sites.pop(next(iter(self._sites)))
        return shaping

    async def _open(self, route: Route, hosts: Sequence[Host], shaping: Shaping, verified: bool) -> Connection:
        why = "none of the domain's mail servers has an address that is mailed to"
        try:
            async with asyncio.timeout(OPEN_WITHIN_S):
                for host in hosts[:HOSTS_TRIED]:
                    try:
                        addresses = await self._hosts.addresses(host.name)
                        if addresses:
                            return await self._connect(self._relay(route, host.name, addresses, verified))
                    except DnsUnknown:
                        why = "the address of a mail server could not be looked up"
                    except CannotConnect as failed:
                        why = str(failed)
        except TimeoutError:
            why = "no server of the domain's answered in time"
        shaping.rest(f"451 4.4.1 {why}")
        raise Unreachable(DEFERRED, f"451 4.4.1 {why}")

    def _idle_to(self, route: Route, hosts: Sequence[Host], verified: bool) -> Connection | None:
        for host in hosts:
            kept = self._idle.get((route.pool, host.name, verified), [])
            while kept:
                connection = kept.pop()
                if connection.alive:
                    return connection
        return None

    def _keep(self, route: Route, connection: Connection, shaping: Shaping, verified: bool) -> None:
        """For whoever is next to be mailed there: many domains share a server."""
        place = (route.pool, connection.relay.host, verified)
        kept = self._idle.setdefault(place, [])
        fit = connection.accepted < shaping.receiver.messages and not shaping.resting
        if fit:
            kept.append(connection)
        task = asyncio.create_task(self._leave(place, connection, IDLE_S if fit else 0.0))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _leave(self, place: tuple[str, str, bool], connection: Connection, after_s: float) -> None:
        await asyncio.sleep(after_s)
        kept = self._idle.get(place, [])
        if connection in kept:
            kept.remove(connection)
        elif after_s:
            return  # another lane has it
        if not kept:
            self._idle.pop(place, None)
        await connection.close()

    async def close(self) -> None:
        for task in self._leaving:
            task.cancel()
        await asyncio.gather(*(connection.close() for kept in self._idle.values() for connection in kept))
