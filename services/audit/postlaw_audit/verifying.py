"""Checks a whole log from its blobs alone, with none of the product's services running."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from postlaw_audit.domain.tiles import WIDTH, GrowingTree, Tile, tile_path, unbundle
from postlaw_audit.notes import Checkpoint, open_note, parse_verifier_key
from postlaw_audit.writer import CHECKPOINT, PREFIX
from postlaw_common.blobs import Blobs

VERIFIER_KEY = PREFIX + "log.vkey"


class LogInvalid(Exception):
    """The message names the object that does not fit."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What was checked: every entry and every tile below the checkpoint."""

    checkpoint: Checkpoint
    tiles: int


async def verify_log(blobs: Blobs, verifier: str | None = None) -> Verified:
    """Signature, every entry's hash, every tile, the root. `verifier`: the key in note format; else the one beside the log.

    Raises LogInvalid, NoteInvalid."""
    key = verifier or (await _need(blobs, VERIFIER_KEY)).decode()
    checkpoint = open_note((await _need(blobs, CHECKPOINT)).decode(), *parse_verifier_key(key))
    tree, tiles = GrowingTree(), 0
    async for entries in _bundles(blobs, checkpoint.size):
        for tile in tree.append(entries):
            await _same(blobs, tile)
            tiles += 1
    for tile in tree.partial_tiles():
        await _same(blobs, tile)
        tiles += 1
    if tree.root() != checkpoint.root:
        raise LogInvalid(f"the entries do not lead to the root of the checkpoint at size {checkpoint.size}")
    return Verified(checkpoint, tiles)


async def _bundles(blobs: Blobs, size: int) -> AsyncIterator[list[bytes]]:
    for number in range(-(-size // WIDTH)):
        width = min(WIDTH, size - number * WIDTH)
        path = tile_path(-1, number, width)
        try:
            entries = unbundle(await _need(blobs, PREFIX + path))
        except ValueError as wrong:
            raise LogInvalid(f"{path}: {wrong}") from wrong
        if len(entries) != width:
            raise LogInvalid(f"{path} holds {len(entries)} entries instead of {width}")
        yield entries


async def _same(blobs: Blobs, tile: Tile) -> None:
    if await _need(blobs, PREFIX + tile.path) != tile.data:
        raise LogInvalid(f"{tile.path} is not what the entries below it give")


async def _need(blobs: Blobs, key: str) -> bytes:
    data = await blobs.get(key)
    if data is None:
        raise LogInvalid(f"{key.removeprefix(PREFIX)} is missing")
    return data
