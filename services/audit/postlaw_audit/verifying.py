"""Checks a whole log from its blobs alone, with none of the product's services running."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw_audit.domain.tiles import WIDTH, GrowingTree, Tile, tile_path, unbundle
from postlaw_audit.notes import Checkpoint, NoteInvalid, open_note, parse_verifier_key
from postlaw_audit.writer import CHECKPOINT, PREFIX
from postlaw_common.blobs import Blobs
from postlaw_common.bus.generation import PLACE as GENERATION
from postlaw_common.bus.generation import resumed_at

VERIFIER_KEY = PREFIX + "log.vkey"
MOST_FAULTS = 20
AHEAD = 16  # bundles that are fetched while one is hashed


class LogInvalid(Exception):
    """The message names the object or the entry that does not fit."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What was checked: every entry and every tile below the checkpoint. `generations`: how often a restore began the topics anew."""

    checkpoint: Checkpoint
    tiles: int
    generations: int


async def verify_log(blobs: Blobs, verifier: str | None = None, earlier: str | None = None) -> Verified:
    """Signature, every entry's hash, its place on the bus, every tile, the root. `verifier`: the key in note format; else the one beside
    the log. `earlier`: a checkpoint's signed note from before, which the log must continue: without it a log that was cut back to an older
    checkpoint is whole.

    Raises LogInvalid, NoteInvalid."""
    key = parse_verifier_key(verifier or _text(await _need(blobs, VERIFIER_KEY)))
    checkpoint = open_note(_text(await _need(blobs, CHECKPOINT)), *key)
    before = open_note(earlier, *key) if earlier is not None else None
    if before is not None and before.size > checkpoint.size:
        raise LogInvalid(f"the log was cut back: its checkpoint is at size {checkpoint.size}, the earlier one at {before.size}")
    tree, places, tiles = GrowingTree(), Places(), 0
    async for entries in bundles(blobs, checkpoint.size):
        for number, entry in enumerate(entries, tree.size):
            places.follow(number, entry)
        parts = [entries] if before is None else [entries[: max(0, before.size - tree.size)], entries[max(0, before.size - tree.size) :]]
        for part in parts:
            for tile in tree.append(part):
                await _same(blobs, tile)
                tiles += 1
            if before is not None and tree.size == before.size and tree.root() != before.root:
                raise LogInvalid(f"the log does not continue the earlier checkpoint: its first {before.size} entries were others")
    for tile in tree.partial_tiles():
        await _same(blobs, tile)
        tiles += 1
    if tree.root() != checkpoint.root:
        raise LogInvalid(f"the entries do not lead to the root of the checkpoint at size {checkpoint.size}")
    if places.faults:
        raise LogInvalid("; ".join(places.faults))
    return Verified(checkpoint, tiles, places.generations)


class Places:
    """Where the entries stood on the bus: each partition's records one after the other, none left out, none twice.

    So that even whoever holds the signing key cannot leave out an event, or enter one twice, without its being named here. Offsets come
    again only behind an entry that says from where: the record of a generation of the topics, which a restore began."""

    def __init__(self) -> None:
        self._next: dict[tuple[str, int], tuple[int, str]] = {}  # offset, and its part where a record has several ("2/3")
        self.faults: list[str] = []  # the first MOST_FAULTS
        self.generations = 0

    def follow(self, number: int, data: bytes) -> None:
        """The log's next entry."""
        try:
            entry = audit.Entry.FromString(data)
            part = entry.context.get("part", "")
            at, _, of = part.partition("/")
            place = (entry.topic, entry.partition)
            if place == GENERATION:
                self._begin(entry.data)
                return
            offset, piece = self._next.get(place, (0, ""))
            self._next[place] = (entry.offset, f"{int(at) + 1}/{of}") if at != of else (entry.offset + 1, "")
        except (DecodeError, ValueError, TypeError, LookupError):
            self._fault(f"entry {number} is no entry of ours")
            return
        fits = part == piece if piece else not part or at == "1"
        if entry.offset != offset or not fits:
            found, wanted = _record(entry.offset, part), _record(offset, piece)
            self._fault(f"entry {number} is {found} of {entry.topic}/{entry.partition}, where {wanted} comes next")

    def _begin(self, generation: bytes) -> None:
        """The topics were set back, after a restore: they go on where they ended then."""
        resumed = resumed_at(generation, {place: offset for place, (offset, _) in self._next.items()})
        self._next = {place: self._next[place] if offset == self._next[place][0] else (offset, "") for place, offset in resumed.items()}
        self.generations += 1

    def _fault(self, fault: str) -> None:
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(fault)


def _record(offset: int, part: str) -> str:
    return f"offset {offset} part {part}" if part else f"offset {offset}"


async def bundles(blobs: Blobs, size: int) -> AsyncGenerator[list[bytes]]:
    """The log's first `size` entries, bundle by bundle. Raises LogInvalid for a bundle that is missing or no such thing.

    Whatever comes from the bucket is under way while the bundles before it are hashed; memory stays constant."""
    paths = (tile_path(-1, number, min(WIDTH, size - number * WIDTH)) for number in range(-(-size // WIDTH)))
    coming: deque[tuple[str, asyncio.Task[bytes]]] = deque()
    start = 0
    try:
        while True:
            while len(coming) < AHEAD and (path := next(paths, None)):
                coming.append((path, asyncio.create_task(_need(blobs, PREFIX + path))))
            if not coming:
                return
            path, task = coming.popleft()
            width = min(WIDTH, size - start)
            try:
                entries = unbundle(await task)
            except ValueError as wrong:
                raise LogInvalid(f"{path}: {wrong}") from wrong
            if len(entries) != width:
                raise LogInvalid(f"{path} holds {len(entries)} entries instead of {width}")
            start += width
            yield entries
    finally:
        for _, task in coming:
            task.cancel()
        await asyncio.gather(*(task for _, task in coming), return_exceptions=True)


async def _same(blobs: Blobs, tile: Tile) -> None:
    if await _need(blobs, PREFIX + tile.path) != tile.data:
        raise LogInvalid(f"{tile.path} is not what the entries below it give")


async def _need(blobs: Blobs, key: str) -> bytes:
    data = await blobs.get(key)
    if data is None:
        raise LogInvalid(f"{key.removeprefix(PREFIX)} is missing")
    return data


def _text(note: bytes) -> str:
    try:
        return note.decode()
    except UnicodeDecodeError as wrong:
        raise NoteInvalid("checkpoint or key is not UTF-8") from wrong
