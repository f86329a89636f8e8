"""An outside SMTP server for benchmarks and fault tests: its own process, its own records, and faults on request.

    python -m bench.sink --smtp 127.0.0.1:0 --http 127.0.0.1:0 [--delay 2] [--drop-after N] [--defer-share 0.1] [--reject-share 0.1]

Prints one line of JSON with its ports. GET /stats counts, GET /records lists "begin_ns\\tend_ns\\trecipient\\tbytes" lines (begin: MAIL
was read; end: just before the final reply leaves), GET /sample is one message, POST /reset empties it.

`bench/sink/` is the same in Go without the faults, several times as fast; `bench.sinks` chooses.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
import zlib
from dataclasses import dataclass, field

import uvloop

from postlaw_mesh.smtp_session import SmtpSession, Taken

_LATER = b"451 4.7.1 come again later\r\n"
_NEVER = b"550 5.1.1 no such person\r\n"
_OK = b"250 2.0.0 ok\r\n"


@dataclass
class Faults:
    """`delay` seconds before each final reply. Every `drop_after`th message of a connection is taken, and the connection then ends
    without the reply: the worst case for a sender. `defer_share` of the people are put off once, `reject_share` refused for good."""

    delay: float = 0.0
    drop_after: int = 0
    defer_share: float = 0.0
    reject_share: float = 0.0


@dataclass
class Book:
    """What has been taken."""

    records: list[tuple[int, int, bytes, int]] = field(default_factory=list[tuple[int, int, bytes, int]])
    put_off: set[bytes] = field(default_factory=set[bytes])
    rejected: int = 0
    dropped: int = 0
    sample: bytes = b""

    def stats(self) -> str:
        recipients: dict[bytes, int] = {}
        for _, _, recipient, _ in self.records:
            recipients[recipient] = recipients.get(recipient, 0) + 1
        ends = [end for _, end, _, _ in self.records]
        seconds = (max(ends) - min(ends)) / 1e9 if ends else 0.0
        twice = sum(1 for times in recipients.values() if times > 1)
        rate = len(ends) / seconds if seconds else 0.0
        size = sum(size for _, _, _, size in self.records)
        return (
            f"messages {len(ends)} recipients {len(recipients)} duplicated {twice} seconds {seconds:.3f} per_second {rate:.0f} "
            f"bytes {size} deferred {len(self.put_off)} rejected {self.rejected} dropped {self.dropped}\n"
        )

    def lines(self) -> str:
        return "".join(f"{begin}\t{end}\t{who.decode('utf-8', 'replace')}\t{size}\n" for begin, end, who, size in self.records)


class Session(SmtpSession):
    host = b"sink"

    def __init__(self, book: Book, faults: Faults) -> None:
        super().__init__()
        self._book = book
        self._faults = faults
        self._count = 0

    def recipient(self, address: bytes) -> bytes:
        faults = self._faults
        if faults.reject_share and _share(address, b"reject") < faults.reject_share:
            self._book.rejected += 1
            return _NEVER
        if faults.defer_share and address not in self._book.put_off and _share(address, b"defer") < faults.defer_share:
            self._book.put_off.add(address)
            return _LATER
        return _OK

    def take(self, taken: Taken) -> bytes | None:
        if self._faults.delay:
            self.hold()
            asyncio.get_running_loop().call_later(self._faults.delay, self._finish_late, taken)
            return None
        return self._finish(taken, taken.end_ns)

    def _finish_late(self, taken: Taken) -> None:
        reply = self._finish(taken, time.time_ns())
        if reply is not None:
            self.answer(reply)

    def _finish(self, taken: Taken, end_ns: int) -> bytes | None:
        book = self._book
        if len(book.records) % 1000 == 0:
            book.sample = taken.message
        for recipient in taken.recipients:
            book.records.append((taken.begin_ns, end_ns, recipient, len(taken.message)))
        self._count += 1
        if self._faults.drop_after and self._count >= self._faults.drop_after:
            book.dropped += 1
            self.drop()
            return None
        return _OK


def _share(address: bytes, kind: bytes) -> float:
    return zlib.crc32(kind + address) / 2**32


async def serve(smtp: tuple[str, int], web: tuple[str, int], faults: Faults) -> None:
    loop = asyncio.get_running_loop()
    book = Book()

    async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        words = (await reader.readline()).decode("ascii", "replace").split()
        while (await reader.readline()).strip():
            pass
        path = words[1] if len(words) > 1 else ""
        status, body = "200 OK", b""
        if path == "/stats":
            body = book.stats().encode()
        elif path == "/records":
            body = book.lines().encode()
        elif path == "/sample":
            body = book.sample
        elif path == "/reset":
            book.__init__()
        else:
            status = "404 Not Found"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()

    mail = await loop.create_server(lambda: Session(book, faults), *smtp)
    http = await asyncio.start_server(page, *web)
    ports = {"smtp": mail.sockets[0].getsockname()[1], "http": http.sockets[0].getsockname()[1]}
    print(json.dumps(ports), flush=True)
    await asyncio.gather(mail.serve_forever(), http.serve_forever())


def _place(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


def main() -> None:
    parser = argparse.ArgumentParser(description="An SMTP server that takes everything and remembers it.")
    parser.add_argument("--smtp", type=_place, default=("127.0.0.1", 0))
    parser.add_argument("--http", type=_place, default=("127.0.0.1", 0))
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each final reply")
    parser.add_argument("--drop-after", type=int, default=0, help="messages a connection; the last has no reply")
    parser.add_argument("--defer-share", type=float, default=0.0, help="share of the people that are put off once")
    parser.add_argument("--reject-share", type=float, default=0.0, help="share of the people that are refused for good")
    given = parser.parse_args()
    uvloop.run(serve(given.smtp, given.http, Faults(given.delay, given.drop_after, given.defer_share, given.reject_share)))


if __name__ == "__main__":
    main()
