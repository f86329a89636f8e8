"""How fast can this machine hand mail to a sink at all? The denominator of every sending figure.

    python -m bench.raw_client HOST PORT        prints messages per second

Two processes, twenty connections each, pipelined MAIL/RCPT/BDAT, one constant 4.6 kB message; no gate, no rendering, no record of
anything, no product.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import sys
import time
from multiprocessing.synchronize import Barrier

import uvloop

PROCESSES, CONNECTIONS, MESSAGES, DEPTH = 2, 20, 2500, 8
BODY = (
    b"From: a <a@example.org>\r\nSubject: hi\r\nList-Unsubscribe: <https://example.org/u/abc>\r\n\r\n"
    + b"lorem ipsum dolor sit amet consectetur adipiscing elit sed do eius\r\n" * 66
)


async def _connection(host: str, port: int, first: int, messages: int) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    await reader.readline()
    writer.write(b"EHLO bench\r\n")
    while not (await reader.readline()).startswith(b"250 "):
        pass
    waiting = 0
    for number in range(first, first + messages):
        to = b"user%d@example.com" % number
        message = b"To: " + to + b"\r\n" + BODY
        writer.write(b"MAIL FROM:<a@example.org>\r\nRCPT TO:<%b>\r\nBDAT %d LAST\r\n" % (to, len(message)) + message)
        waiting += 1
        if waiting == DEPTH:
            await _replies(reader)
            waiting -= 1
    for _ in range(waiting):
        await _replies(reader)
    writer.write(b"QUIT\r\n")
    writer.close()


async def _replies(reader: asyncio.StreamReader) -> None:
    for _ in range(3):
        line = await reader.readline()
        if not line.startswith(b"250"):
            raise SystemExit(f"the sink refused: {line!r}")


def _process(host: str, port: int, number: int, messages: int) -> None:
    async def run() -> None:
        first = number * CONNECTIONS * messages
        await asyncio.gather(*(_connection(host, port, first + c * messages, messages) for c in range(CONNECTIONS)))

    uvloop.run(run())


def raw_rate(host: str, port: int, messages: int = MESSAGES) -> float:
    """Messages per second, over so many a connection. Blocks; RuntimeError where the sink refused or went away."""
    # spawn, not fork: whoever calls this may have threads (grpc has)
    context = multiprocessing.get_context("spawn")
    gate = context.Barrier(PROCESSES + 1)
    children = [context.Process(target=_wait_and_run, args=(gate, host, port, k, messages)) for k in range(PROCESSES)]
    for child in children:
        child.start()
    gate.wait(60)
    begin = time.perf_counter()
    for child in children:
        child.join()
    took = time.perf_counter() - begin
    if any(child.exitcode for child in children):
        raise RuntimeError("the raw client could not hand over its messages")
    return PROCESSES * CONNECTIONS * messages / took


def _wait_and_run(gate: Barrier, host: str, port: int, number: int, messages: int) -> None:
    gate.wait(60)
    _process(host, port, number, messages)


if __name__ == "__main__":
    print(f"{raw_rate(sys.argv[1], int(sys.argv[2])):.0f}")
