"""A log written at once from its records, with neither bus nor writer: as long as a measurement wants it, in a minute or two."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from postlaw_audit.domain.tiles import Tile
from postlaw_audit.entries import entries_of
from postlaw_audit.index import EventIndex
from postlaw_audit.notes import Checkpoint, sign, verifier_key
from postlaw_audit.publishing import CHECKPOINT
from postlaw_audit.sources import PREFIX, VERIFIER_KEY
from postlaw_audit.writer import tree_at
from postlaw_common.blobs import Blobs
from postlaw_common.bus import Received

ORIGIN = "bench.example/log"
AT_ONCE = 16  # requests to the bucket


async def write_log(
    blobs: Blobs, index: EventIndex | None, batches: Iterable[Sequence[Received]], *, size: int = 0, key: Ed25519PrivateKey | None = None
) -> str:
    """The key that verifies it. `index`: where a proof is to find its events. `size` and `key` of a log that stands there already: it is
    gone on with, where its size is a multiple of 256."""
    tree, key = await tree_at(size, blobs), key or Ed25519PrivateKey.generate()
    for records in batches:
        found = [entry for record in records for entry in entries_of(record)]
        if index is not None:
            await index.add(tree.size, [event_id for event_id, _ in found])
        await put_tiles(blobs, tree.append([entry for _, entry in found]))
    await put_tiles(blobs, tree.partial_tiles())
    await blobs.put(CHECKPOINT, sign(Checkpoint(ORIGIN, tree.size, tree.root()), key).encode())
    verifier = verifier_key(ORIGIN, key.public_key().public_bytes_raw())
    await blobs.put(PREFIX + VERIFIER_KEY, verifier.encode())
    return verifier


async def put_tiles(blobs: Blobs, tiles: Sequence[Tile]) -> None:
    for at in range(0, len(tiles), AT_ONCE):
        await asyncio.gather(*(blobs.put(PREFIX + tile.path, tile.data) for tile in tiles[at : at + AT_ONCE]))
