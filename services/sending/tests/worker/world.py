"""Other people's mail servers, at addresses of their own on loopback, under names of a DNS of the test's."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from postlaw_common.store import Store
from postlaw_sending.delivery import TlsPolicy
from postlaw_sending.domains.dns import Resolver
from postlaw_sending.mx.assembly import MxSettings, Straight, straight_to_mx
from postlaw_sending.mx.pools import parsed
from postlaw_sending.testing.dns_server import DnsServer, dns_server
from postlaw_sending.testing.smtp_peer import Peer

Script = Callable[[Peer], Awaitable[None]]


class MailWorld:
    """`taken`: (address of the server, recipient) of each message; `opened`: the address of each connection's server."""

    def __init__(self, dns: DnsServer) -> None:
        self.dns = dns
        self.port = 0
        self.policy_port = 443
        self.ca = ""
        self.store: Store | None = None
        self.now_us = time.time_ns() // 1000
        self.taken: list[tuple[str, str]] = []
        self.opened: list[str] = []
        self.asked: list[str] = []
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

    def taking(self, address: str, *, greets: bool = True) -> Script:
        async def take(peer: Peer) -> None:
            if greets:
                await peer.hello("FULL")
            else:
                await peer.line()
                peer.say("250-peer", "250-PIPELINING", "250 CHUNKING")
            while True:
                rcpt, _, first = await peer.whole()
                self.taken.append((address, rcpt.removeprefix(b"RCPT TO:<").removesuffix(b">").decode()))
                peer.say(*(["250 ok"] * (4 if first == b"RSET" else 3)))

        return take

    def taking_under_tls(self, address: str, context: ssl.SSLContext) -> Script:
        async def take(peer: Peer) -> None:
            await peer.hello("STARTTLS")
            assert await peer.line() == b"STARTTLS"
            peer.say("220 go ahead")
            await peer.writer.start_tls(context)
            await self.taking(address, greets=False)(peer)

        return take

    async def policy(self, context: ssl.SSLContext, text: str) -> None:
        """One HTTPS server for every domain's MTA-STS policy; `asked`: the Host of each request."""

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            request = (await reader.readuntil(b"\r\n\r\n")).decode()
            assert request.startswith("GET /.well-known/mta-sts.txt ")
            self.asked.append(next(line[6:] for line in request.split("\r\n") if line.lower().startswith("host: ")))
            head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: {len(text)}\r\n\r\n"
            writer.write((head + text).encode())
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
        self.policy_port = server.sockets[0].getsockname()[1]
        self._servers.append(server)

    def domain(self, name: str, *addresses: str) -> None:
        """Its servers, the first preferred."""
        self.dns.put(name, "MX", *(f"{10 + turn} mx{turn}.{name}." for turn in range(len(addresses))))
        for turn, address in enumerate(addresses):
            self.dns.put(f"mx{turn}.{name}", "AAAA" if ":" in address else "A", address)

    def straight(self, connections: int = 20, *, tls: TlsPolicy = "opportunistic", pools: str = "") -> Straight:
        settings = MxSettings(
            ehlo="mail.example.org",
            own=frozenset({"mail.example.org"}),
            port=self.port,
            policy_port=self.policy_port,
            connections=connections,
            tls=tls,
            ca=self.ca,
            private=True,
            pools=parsed(pools),
        )
        assert self.store is not None
        return straight_to_mx(settings, Resolver([self.dns.address], timeout_s=3.0), self.store.collection, lambda: self.now_us)

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
