"""Files of people to import, and what an import counted of them."""

from __future__ import annotations

import asyncio
from typing import Any

from postlaw.subscribers.v1 import subscribers_pb2 as pb

PEOPLE = b"email,first name\nann@example.com,Ann\nBob+news@Example.com,Bob\n"


def rows(count: int) -> bytes:
    return b"email,name\n" + b"".join(b"p%d@example%d.com,Person %d\n" % (i, i % 7, i) for i in range(count))


def counts(done: pb.Import) -> tuple[int, int, int, int, int]:
    return done.rows, done.added, done.updated, done.unchanged, done.refused


async def finished_after_a_crash(world: Any, list_id: str, data: bytes, **how: Any) -> pb.Import:
    """Much of a batch is stored when the process dies: consent, the last step before the checkpoint, is away. Then it goes on."""
    world.consent.away = True
    started = await world.upload(list_id, data, **how)
    while not world.consent.calls:
        await asyncio.sleep(0.01)
    await world.stop()
    world.consent.away = False
    await world.start()
    return await world.finished(started)
