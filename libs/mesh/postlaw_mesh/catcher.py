"""The mail catcher of `postlaw dev`: takes all mail on loopback and sends none of it on."""

from __future__ import annotations

import asyncio
from array import array
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from postlaw_mesh.smtp_session import SmtpSession, Taken

KEPT_WHOLE = 1000


class Captured(NamedTuple):
    """A whole message as it arrived. `number` counts from 1 in order of arrival. Times are nanoseconds since the epoch."""

    number: int
    begin_ns: int
    end_ns: int
    sender: str
    recipients: list[str]
    message: bytes


class Record(NamedTuple):
    """One hand-off to one recipient: begun at MAIL, ended just before the final reply left; octets of the message."""

    begin_ns: int
    end_ns: int
    recipient: str
    size: int


class Catcher:
    """Keeps the last 1,000 messages whole, and of every hand-off its times, recipient and size (about 100 bytes each)."""

    def __init__(self) -> None:
        self.last: deque[Captured] = deque(maxlen=KEPT_WHOLE)
        self.count = 0
        self._times = array("q")  # begin, end, size of each
        self._recipients: list[bytes] = []
        self._server: asyncio.Server | None = None
        self._sessions: set[_Session] = set()

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen; the port that was taken. OSError where it is in use."""
        self._server = await asyncio.get_running_loop().create_server(lambda: _Session(self, self._sessions), host, port)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for session in list(self._sessions):
            session.drop()
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None

    def take(self, taken: Taken) -> None:
        self.count += 1
        self.last.append(
            Captured(self.count, taken.begin_ns, taken.end_ns, _text(taken.sender), [_text(r) for r in taken.recipients], taken.message)
        )
        for recipient in taken.recipients:
            self._times.extend((taken.begin_ns, taken.end_ns, len(taken.message)))
            self._recipients.append(recipient)

    def message(self, number: int) -> Captured | None:
        """None where it is no longer, or not yet, kept."""
        place = len(self.last) - 1 - (self.count - number)
        return self.last[place] if 0 <= place < len(self.last) else None

    def records(self, after: int = 0) -> Iterator[Record]:
        """Every hand-off since the start or the last `clear` but the first `after`, in order of its end."""
        for i in range(after, len(self._recipients)):
            begin_ns, end_ns, size = self._times[3 * i : 3 * i + 3]
            yield Record(begin_ns, end_ns, _text(self._recipients[i]), size)

    def clear(self) -> None:
        self.last.clear()
        self.count = 0
        self._times = array("q")
        self._recipients = []


class _Session(SmtpSession):
    def __init__(self, catcher: Catcher, sessions: set[_Session]) -> None:
        super().__init__()
        self._catcher = catcher
        self._sessions = sessions

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._sessions.add(self)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._sessions.discard(self)
        super().connection_lost(exc)

    def take(self, taken: Taken) -> bytes:
        self._catcher.take(taken)
        return b"250 2.0.0 captured\r\n"


def _text(address: bytes) -> str:
    return address.decode("utf-8", "replace")
