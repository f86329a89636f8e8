"""Other people's mail servers, at addresses of their own on loopback, under names of a DNS of the test's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from postlaw_sending.domains.dns import Resolver
from postlaw_sending.mx.assembly import MxSettings, exchange
from postlaw_sending.mx.exchange import MxExchange
from postlaw_sending.testing.dns_server import DnsServer, dns_server
from postlaw_sending.testing.smtp_peer import Peer

Script = Callable[[Peer], Awaitable[None]]


class MailWorld:
    """`taken`: (address of the server, recipient) of each message; `opened`: the address of each connection's server."""

    def __init__(self, dns: DnsServer) -> None:
        self.dns = dns
        self.port = 0
        self.taken: list[tuple[str, str]] = []
        self.opened: list[str] = []
        self._servers: list[asyncio.Server] = []
        self._running: set[asyncio.Task[None]] = set()

    async def server(self, address: str, script: Script | None = None) -> None:
        """Listens there, and takes whatever comes unless a script says else."""

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._running.add(task)
            self.opened.append(address)
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                await (script or self.taking(address))(Peer(reader, writer))
            writer.close()

        server = await asyncio.start_server(connected, address, self.port)
        self.port = server.sockets[0].getsockname()[1]
        self._servers.append(server)

    def taking(self, address: str) -> Script:
        async def take(peer: Peer) -> None:
            await peer.hello("FULL")
            while True:
                rcpt, _, first = await peer.whole()
                self.taken.append((address, rcpt.removeprefix(b"RCPT TO:<").removesuffix(b">").decode()))
                peer.say(*(["250 ok"] * (4 if first == b"RSET" else 3)))

        return take

    def domain(self, name: str, *addresses: str) -> None:
        """Its servers, the first preferred."""
        self.dns.put(name, "MX", *(f"{10 + turn} mx{turn}.{name}." for turn in range(len(addresses))))
        for turn, address in enumerate(addresses):
            self.dns.put(f"mx{turn}.{name}", "AAAA" if ":" in address else "A", address)

    def exchange(self, connections: int = 20) -> MxExchange:
        settings = MxSettings("mail.example.org", frozenset({"mail.example.org"}), self.port, connections, 8, "opportunistic", private=True)
        return exchange(settings, Resolver([self.dns.address], timeout_s=1.0))

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)


@asynccontextmanager
async def mail_world() -> AsyncGenerator[MailWorld]:
    async with dns_server() as dns:
        world = MailWorld(dns)
        try:
            yield world
        finally:
            await world.close()
