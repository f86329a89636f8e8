"""The lower half of a connection: bytes into replies, and the step-by-step dialogue before and after the transactions."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from typing import cast

from postlaw_sending.delivery.replies import CODES

_REPLY_LIMIT = 1 << 16  # bytes of one reply, all its lines; RFC 5321 §4.5.3.1.5 allows a server 512 a line
_MOSTLY = b"250 "  # nearly all that a server says, four times a message: looked at first
_LAST_LINE = (b" ", b"\r", b"")  # RFC 5321 §4.2: a hyphen after the code means that more lines follow; text is optional


class Dialogue(asyncio.Protocol):
    """Splits what arrives into replies, however the packets fall. While a dialogue is on they wait for `ask`, else `_reply` gets them."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._said: deque[tuple[int, list[bytes]]] | None = deque()  # None: no dialogue is on, replies belong to transactions
        self._waiters: list[asyncio.Future[None]] = []
        self._partial = b""  # of a line
        self._lines: list[bytes] = []  # of a multi-line reply, but for its last

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but its class

    def data_received(self, data: bytes) -> None:
        if self._partial:
            data = self._partial + data
        lines = data.split(b"\n")
        self._partial = lines.pop()
        if len(self._partial) > _REPLY_LIMIT:
            return self._end("the server's reply has no end")
        for line in lines:
            if line[:4] == _MOSTLY and self._said is None and not self._lines:
                self._reply(250, line)
                if self._transport is None:
                    return None
                continue
            code = CODES.get(line[:3])
            mark = line[3:4]
            if code is None or (self._lines and self._lines[0][:3] != line[:3]):
                return self._end("the server sent something that is no SMTP reply")
            if mark == b"-":
                self._lines.append(line)
                if len(self._lines) * 4 > _REPLY_LIMIT or sum(map(len, self._lines)) > _REPLY_LIMIT:
                    return self._end("the server's reply has no end")
                continue
            if mark not in _LAST_LINE:
                return self._end("the server sent something that is no SMTP reply")
            if self._said is None:
                self._reply(code, line)
                if self._transport is None:
                    return None
            else:
                self._said.append((code, [*self._lines, line]))
            if self._lines:
                self._lines = []
        self._after_replies()
        return None

    def eof_received(self) -> bool:
        return False  # the server is done: asyncio closes, and connection_lost accounts for what is open

    def connection_lost(self, exc: Exception | None) -> None:
        self._end("the connection was lost" if exc else "the server closed the connection")

    async def adopt(self, sock: socket.socket) -> None:
        """Speak over this connected socket, which is ours from here on."""
        await self._loop.create_connection(lambda: self, sock=sock)

    async def ask(self, command: bytes, timeout_s: float) -> tuple[int, list[bytes]]:
        """Write `command` (empty: only listen) and wait for one reply: its code and lines. OSError once closed, TimeoutError."""
        if self._transport is not None and command:
            self._transport.write(command)
        async with asyncio.timeout(timeout_s):
            while not self._said:
                if self._transport is None:
                    raise ConnectionResetError("the connection was closed")
                await self._wait()
        return self._said.popleft()

    async def start_tls(self, context: ssl.SSLContext, host: str, timeout_s: float) -> str:
        """After the reply to STARTTLS. The TLS version; ssl.SSLError, OSError, TimeoutError.

        Whatever came in plaintext behind that reply was not sent by the server that TLS proves (RFC 3207 §4.2): OSError.
        """
        if self._partial or self._said or self._lines:
            raise ConnectionResetError("the server sent something in plaintext after its reply to STARTTLS")
        if self._transport is None:
            raise ConnectionResetError("the connection was closed")
        transport = await self._loop.start_tls(self._transport, self, context, server_hostname=host, ssl_handshake_timeout=timeout_s)
        if transport is None:
            raise ConnectionResetError("the connection was closed")
        self._transport = transport
        return str(transport.get_extra_info("ssl_object").version())

    async def _wait(self) -> None:
        waiter = self._loop.create_future()
        self._waiters.append(waiter)
        await waiter

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    def _end(self, why: str) -> None:
        """The connection is over, whoever ended it. Everyone who waits wakes up. Does nothing the second time."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
        self._wake()

    def _reply(self, code: int, line: bytes) -> None:
        """One reply outside a dialogue; its earlier lines are in `_lines`."""
        raise AssertionError("replies outside a dialogue belong to a subclass")

    def _after_replies(self) -> None:
        """All replies of one packet have been taken."""
        self._wake()
