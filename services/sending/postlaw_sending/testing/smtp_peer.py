"""An SMTP server on loopback that follows a test's script, word for word."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from postlaw_sending.delivery import Relay, Reply

FULL = ("PIPELINING", "CHUNKING", "8BITMIME", "SMTPUTF8", "SIZE 1000000")
MESSAGE = b"Subject: x\r\n\r\nHello\r\n.\r\n..two dots\r\nend\r\n"


class Peer:
    """The server's side of one connection. `heard`: every line read, without its line end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.heard: list[bytes] = []

    async def line(self) -> bytes:
        line = (await self.reader.readuntil(b"\r\n"))[:-2]
        self.heard.append(line)
        return line

    def say(self, *lines: str) -> None:
        self.writer.write("".join(line + "\r\n" for line in lines).encode())

    async def hello(self, *offers: str) -> None:
        """Greet, and answer EHLO. "FULL" stands for all that the engine can use."""
        if offers == ("FULL",):
            offers = FULL
        self.say("220 peer")
        assert (await self.line()).startswith(b"EHLO ")
        said = ["peer", *offers]
        self.say(*(f"250-{offer}" for offer in said[:-1]), f"250 {said[-1]}")

    async def whole(self) -> tuple[bytes, bytes, bytes]:
        """One pipelined transaction: its RCPT line, its message, and its first line."""
        first = await self.line()
        if first == b"RSET":
            await self.line()
        rcpt = await self.line()
        verb, size, last = (await self.line()).split()
        assert (verb, last) == (b"BDAT", b"LAST")
        return rcpt, await self.reader.readexactly(int(size)), first

    async def silent(self, for_s: float = 0.05) -> bool:
        """Nothing arrives for so long."""
        try:
            async with asyncio.timeout(for_s):
                return not await self.reader.read(1)
        except TimeoutError:
            return True


HandOff = Callable[..., asyncio.Future[Reply]]
Script = Callable[[Peer], Awaitable[None]]
Serve = Callable[..., Awaitable[Relay]]


def kinds(replies: Iterable[Reply]) -> list[str]:
    return [reply.kind for reply in replies]
