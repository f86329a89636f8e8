"""Read, change, write, and again where somebody came between: what a document of a name becomes, whoever else writes it."""

from __future__ import annotations

from collections.abc import Callable

from postlaw_common.store import AlreadyExists, Collection, Document, VersionConflict


async def change(
    collection: Collection, id: str, to: Callable[[Document | None], Document | None]
) -> tuple[Document | None, Document | None]:
    """`to` makes of the document (None: there is none) what it shall be; None leaves it as it is. It may be called several times.

    Returns the document before and after; the same object twice where nothing was written. A value of a unique
    index that another document has would be tried for ever: `to` changes none. Raises StoreUnavailable, StoreRefused, what `to` raises."""
    while True:
        before = await collection.get(id, linearizable=True)
        after = to(before)
        if after is None:
            return before, before
        try:
            if before is None:
                await collection.insert(after)
                return None, after
            return before, await collection.replace(after, version=before["v"])
        except (AlreadyExists, VersionConflict):
            continue


async def put(collection: Collection, document: Document) -> None:
    """In the place of what stands under that `_id`, whoever wrote it. Raises as `change`."""
    await change(collection, document["_id"], lambda before: document)
