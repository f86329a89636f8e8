"""Many documents at a time: inserting by the thousand, each made just before it is written; removing all of one value.

The store works in threads of its own (or on another machine), so it takes the first while the next are made; and documents that are made,
packed and dropped few at a time stay in the processor's cache and out of the process's peak.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from itertools import islice

from postlaw_common.foreground import step_aside
from postlaw_common.store import Collection, Document

_PIECE = 500  # documents that go to the store together
_TURN = 100  # documents made before others get their turn on the event loop: some 3 ms


async def bulk_insert(collection: Collection, documents: Iterable[Document]) -> set[str]:
    """As `Collection.insert_many`, of documents in any number; those ascending by `_id` cost the store least.

    After a failure any of them may have been inserted."""
    making = iter(documents)
    writes: list[asyncio.Task[set[str]]] = []
    try:
        while piece := await _made(making):
            writes.append(asyncio.create_task(collection.insert_many(piece)))
        return set().union(*await asyncio.gather(*writes))
    except BaseException:
        for write in writes:
            write.cancel()
        raise


async def bulk_delete(collection: Collection, field: str, value: str | bytes) -> int:
    """Removes all whose indexed field equals value; returns how many."""
    removed = 0
    async for page in collection.scan(field, value):
        for document in page:
            removed += await collection.delete(document["_id"])
    return removed


async def _made(making: Iterable[Document]) -> list[Document]:
    piece: list[Document] = []
    while len(piece) < _PIECE:
        turn = list(islice(making, _TURN))
        piece += turn
        if len(turn) < _TURN:
            break
        await step_aside()
    return piece
