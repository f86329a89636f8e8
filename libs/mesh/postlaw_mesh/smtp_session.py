"""The receiving end of SMTP, small and fast: what the mail catcher and the benchmarks' sink listen with.

It takes everything, offers PIPELINING, CHUNKING, 8BITMIME and SMTPUTF8, and knows when each hand-off began and ended. It parses
what arrived in one go and answers with one write, so that ten thousand messages a second leave the event loop time for others.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final, NamedTuple, cast

SIZE_LIMIT: Final = 20_000_000
_LINE_LIMIT: Final = 4096  # RFC 5321 §4.5.3.1.4 asks for 512 a command
_OFFERS: Final = b"250-%b\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-CHUNKING\r\n250-SMTPUTF8\r\n250 SIZE 20000000\r\n"
_OK: Final = b"250 2.0.0 ok\r\n"


class Taken(NamedTuple):
    """One message to one or several recipients. `begin_ns`: MAIL was read; `end_ns`: just before the final reply leaves."""

    begin_ns: int
    end_ns: int
    sender: bytes
    recipients: list[bytes]
    message: bytes


class SmtpSession(asyncio.Protocol):
    """One client. A subclass says in `take` what becomes of a message."""

    host = b"postlaw"

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._rest = b""  # arrived, not yet parsed
        self._replies: list[bytes] = []
        self._sender: bytes | None = None
        self._recipients: list[bytes] = []
        self._begin_ns = 0
        self._chunks: list[bytes] = []  # of the message, so far
        self._size = 0
        self._due = 0  # octets of the current BDAT chunk that are still to come
        self._last = False  # and whether it is the last
        self._in_data = False
        self._held = False  # a reply waits; nothing more is read until it has left

    # ---- for subclasses

    def take(self, taken: Taken) -> bytes | None:
        """The final reply's line, or None where `hold` was called and `answer` will follow, or the connection was dropped."""
        raise AssertionError("a session takes messages for somebody")

    def recipient(self, address: bytes) -> bytes:
        """The reply's line to RCPT."""
        return _OK

    def hold(self) -> None:
        """Send what is answered so far and read nothing more until `answer`."""
        self._held = True

    def answer(self, reply: bytes) -> None:
        """The reply that was held."""
        if self._transport is None:
            return
        self._held = False
        self._replies.append(reply)
        self._go_on()

    def drop(self) -> None:
        """End the connection without another word; what is already answered still leaves."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.write(b"".join(self._replies))
            transport.close()

    # ---- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but its class
        self._transport.write(b"220 %b ESMTP\r\n" % self.host)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._rest = self._rest + data if self._rest else data
        if not self._held:
            self._go_on()

    def _go_on(self) -> None:
        data, at = self._rest, 0
        self._rest = b""
        while not self._held and self._transport is not None:
            before = at
            if self._due:
                at = self._chunk(data, at)
            elif self._in_data:
                at = self._data(data, at)
            else:
                end = data.find(b"\n", at)
                if end >= 0:
                    line = data[at:end]
                    at = end + 1
                    self._command(line)
                elif len(data) - at > _LINE_LIMIT:
                    self._say(b"500 5.5.2 line too long\r\n")
                    self.drop()
            if at == before:
                break
        self._rest = data[at:]
        transport = self._transport
        if transport is not None and self._replies:
            transport.write(b"".join(self._replies))
        self._replies.clear()

    # ---- commands

    def _command(self, line: bytes) -> None:
        if len(line) > _LINE_LIMIT:
            return self._say(b"500 5.5.2 line too long\r\n")
        verb = line[:4].upper()
        if verb == b"MAIL":
            if self._sender is not None:
                return self._say(b"503 5.5.1 nested MAIL\r\n")
            self._begin_ns = time.time_ns()
            self._sender = _path(line)
            return self._say(_OK)
        if verb == b"RCPT":
            if self._sender is None:
                return self._say(b"503 5.5.1 MAIL first\r\n")
            address = _path(line)
            reply = self.recipient(address)
            if reply.startswith(b"2"):
                self._recipients.append(address)
            return self._say(reply)
        if verb == b"BDAT":
            return self._bdat(line)
        if verb == b"DATA":
            if not self._recipients:
                return self._say(b"503 5.5.1 RCPT first\r\n")
            self._in_data = True
            return self._say(b"354 go on\r\n")
        if verb == b"RSET":
            self._clear()
            return self._say(_OK)
        if verb == b"EHLO":
            self._clear()
            return self._say(_OFFERS % self.host)
        if verb == b"HELO":
            self._clear()
            return self._say(b"250 %b\r\n" % self.host)
        if verb == b"NOOP":
            return self._say(_OK)
        if verb == b"QUIT":
            self._say(b"221 2.0.0 bye\r\n")
            return self.drop()
        return self._say(b"502 5.5.1 not known here\r\n")

    def _bdat(self, line: bytes) -> None:
        words = line.upper().split()
        if len(words) < 2 or not words[1].isdigit() or len(words[1]) > 9:
            return self._say(b"501 5.5.4 BDAT size [LAST]\r\n")
        self._due = int(words[1])
        self._last = words[2:] == [b"LAST"]
        if not self._due:
            self._end_chunk()
        return None

    def _chunk(self, data: bytes, at: int) -> int:
        piece = data[at : at + self._due]
        self._due -= len(piece)
        self._keep(piece)
        if not self._due:
            self._end_chunk()
        return at + len(piece)

    def _end_chunk(self) -> None:
        if not self._recipients:
            self._clear()
            return self._say(b"503 5.5.1 no valid recipient\r\n")
        if not self._last:
            return self._say(_OK)
        return self._end_message(b"".join(self._chunks))

    def _data(self, data: bytes, at: int) -> int:
        """Up to the final dot (RFC 5321 §4.1.1.4), which may come in pieces: the last four octets wait for what follows."""
        if not self._size and data.startswith(b".\r\n", at):
            end, after = at, at + 3
        else:
            found = data.find(b"\r\n.\r\n", at)
            if found < 0:
                keep = max(at, len(data) - 4)
                self._keep(data[at:keep])
                return keep
            end, after = found + 2, found + 5
        self._keep(data[at:end])
        self._in_data = False
        message = b"".join(self._chunks).replace(b"\r\n.", b"\r\n")
        self._end_message(message[1:] if message.startswith(b".") else message)
        return after

    def _keep(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size <= SIZE_LIMIT and piece:
            self._chunks.append(piece)

    def _end_message(self, message: bytes) -> None:
        if self._size > SIZE_LIMIT:
            reply: bytes | None = b"552 5.3.4 too large\r\n"
        else:
            reply = self.take(Taken(self._begin_ns, time.time_ns(), self._sender or b"", self._recipients, message))
        self._recipients = []
        self._clear()
        if reply is not None:
            self._say(reply)

    def _clear(self) -> None:
        self._sender = None
        self._recipients.clear()
        self._chunks.clear()
        self._size = 0

    def _say(self, reply: bytes) -> None:
        self._replies.append(reply)


def _path(line: bytes) -> bytes:
    start = line.find(b"<") + 1
    end = line.rfind(b">")
    return line[start:end] if 0 < start <= end else b""
