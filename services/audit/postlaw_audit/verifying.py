"""Checks a whole log from its files alone, with none of the product's services running."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass

from postlaw_audit.domain.merkle import leaf_hashes
from postlaw_audit.domain.tiles import WIDTH, GrowingTree, Tile, tile_path, unbundle
from postlaw_audit.key_chain import key_chain
from postlaw_audit.notes import Checkpoint, NoteInvalid, parse_note
from postlaw_audit.places import Places
from postlaw_audit.sources import CHECKPOINT, VERIFIER_KEY, WITNESSED, LogFiles, tile
from postlaw_audit.witness_policy import Policy, cosigned_by

AHEAD = 16  # bundles that are fetched while one is hashed


class LogInvalid(Exception):
    """The message names the file or the entry that does not fit."""


@dataclass(frozen=True, slots=True)
class Witnessed:
    """The newest checkpoint that witnesses have cosigned: its size, by whom and when (POSIX seconds)."""

    size: int
    by: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Verified:
    """What was checked: every entry and every tile below the checkpoint. `note`: the checkpoint as it stands, `key`: what signed it.
    `generations`: how often a restore began the topics anew. `witnessed` None: the policy's quorum has cosigned no checkpoint of it."""

    checkpoint: Checkpoint
    note: str
    key: str
    tiles: int
    generations: int
    witnessed: Witnessed | None


async def verify_log(files: LogFiles, verifier: str | None = None, earlier: str | None = None, policy: Policy | None = None) -> Verified:
    """Signature, every entry's hash, its place on the bus, every tile, the root, cosignatures. `verifier`: a key in note format that is
    the log's or was it before its present one; else the one beside the log. `earlier`: a checkpoint's signed note from before, which the
    log must continue: without it a log that was cut back to an older checkpoint is whole.

    Raises LogInvalid, NoteInvalid."""
    keys = await key_chain(files, verifier or _text(VERIFIER_KEY, await _need(files, VERIFIER_KEY)))
    # Before the checkpoint: while the log is being written, that one may be newer, and never the other way round.
    outside = await files.get(WITNESSED)
    note = _text(CHECKPOINT, await _need(files, CHECKPOINT))
    checkpoint, key = keys.open(note)
    roots: dict[int, list[tuple[str, bytes]]] = {}
    if earlier is not None:
        before = keys.open_earlier(earlier)
        if before.size > checkpoint.size:
            raise LogInvalid(f"the log was cut back: its checkpoint is at size {checkpoint.size}, the earlier one at {before.size}")
        roots.setdefault(before.size, []).append(("the earlier checkpoint", before.root))
    cosigned_by(parse_note(note), policy or Policy())
    witnessed = None
    if outside is not None:
        text = _text(WITNESSED, outside)
        cosigned = keys.open_earlier(text)
        if cosigned.size > checkpoint.size:
            raise LogInvalid(f"the log was cut back: its checkpoint is at size {checkpoint.size}, witnesses have seen {cosigned.size}")
        roots.setdefault(cosigned.size, []).append(("the witnessed checkpoint", cosigned.root))
        by = cosigned_by(parse_note(text), policy or Policy())
        witnessed = Witnessed(cosigned.size, by) if policy is not None and policy.satisfied(by) else None
    tree, places, faults = GrowingTree(), Places(), list[str]()
    async with _Comparing(files) as comparing:
        async for entries in bundles(files, checkpoint.size):
            places.follow(tree.size, entries)
            for part in _parts(entries, tree.size, roots):
                await comparing.expect(tree.append_hashes(leaf_hashes(part)) if len(part) == WIDTH else tree.append(part))
                faults += _not_continued(tree, roots)
        await comparing.expect(tree.partial_tiles())
    if tree.root() != checkpoint.root:
        raise LogInvalid(f"the entries do not lead to the root of the checkpoint at size {checkpoint.size}")
    if faults := [*places.faults, *faults]:
        raise LogInvalid("; ".join(faults))
    return Verified(checkpoint, note, key, comparing.tiles, places.generations, witnessed)


def _parts(entries: Sequence[bytes], start: int, roots: Mapping[int, object]) -> list[Sequence[bytes]]:
    """The bundle, divided where a root of before is to be compared."""
    cuts = [0, *sorted(size - start for size in roots if start < size < start + len(entries)), len(entries)]
    return [entries[at:end] for at, end in itertools.pairwise(cuts)]


def _not_continued(tree: GrowingTree, roots: Mapping[int, Sequence[tuple[str, bytes]]]) -> list[str]:
    """Said at the end: which file does not fit is the better answer."""
    return [
        f"the log does not continue {name}: its first {tree.size} entries were others"
        for name, root in roots.get(tree.size, ())
        if tree.root() != root
    ]


async def bundles(files: LogFiles, size: int) -> AsyncGenerator[list[bytes]]:
    """The log's first `size` entries, bundle by bundle. Raises LogInvalid for a bundle that is missing or no such thing.

    Whatever comes from afar is under way while the bundles before it are hashed; memory stays constant."""
    tiles = ((number, min(WIDTH, size - number * WIDTH)) for number in range(-(-size // WIDTH)))
    coming: deque[tuple[str, asyncio.Task[bytes]]] = deque()
    start = 0
    try:
        while True:
            while len(coming) < AHEAD and (place := next(tiles, None)):
                coming.append((tile_path(-1, *place), asyncio.create_task(_need_tile(files, -1, *place))))
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


class _Comparing:
    """The tiles that are there against those that the entries give; they come from afar while further entries are hashed."""

    def __init__(self, files: LogFiles) -> None:
        self._files = files
        self._under_way: deque[asyncio.Task[None]] = deque()
        self.tiles = 0

    async def __aenter__(self) -> _Comparing:
        return self

    async def __aexit__(self, *failed: object) -> None:
        try:
            while self._under_way and failed[0] is None:
                await self._under_way.popleft()
        finally:
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)

    async def expect(self, tiles: Sequence[Tile]) -> None:
        """Tiles of hashes; a bundle is what these came from. Raises LogInvalid for one of these, or of those before."""
        for one in tiles:
            if one.level >= 0:
                self.tiles += 1
                self._under_way.append(asyncio.create_task(_same(self._files, one)))
        while len(self._under_way) > AHEAD:
            await self._under_way.popleft()


async def _same(files: LogFiles, wanted: Tile) -> None:
    data = await _need_tile(files, wanted.level, wanted.number, wanted.width)
    if len(data) != len(wanted.data):
        raise LogInvalid(f"{wanted.path} holds {len(data)} bytes instead of {len(wanted.data)}")
    wrong = next((at for at in range(0, len(data), 32) if data[at : at + 32] != wanted.data[at : at + 32]), None)
    if wrong is not None:
        place = wanted.number * WIDTH + wrong // 32
        if wanted.level:
            raise LogInvalid(f"{wanted.path} is not what {tile_path(wanted.level - 1, place)} gives")
        raise LogInvalid(f"{wanted.path} and {tile_path(-1, wanted.number, wanted.width)} do not fit each other, from entry {place} on")


async def _need(files: LogFiles, path: str) -> bytes:
    data = await files.get(path)
    if data is None:
        raise LogInvalid(f"{path} is missing")
    return data


async def _need_tile(files: LogFiles, level: int, number: int, width: int) -> bytes:
    data = await tile(files, level, number, width)
    if data is None:
        raise LogInvalid(f"{tile_path(level, number, width)} is missing")
    return data


def _text(path: str, note: bytes) -> str:
    try:
        return note.decode()
    except UnicodeDecodeError as wrong:
        raise NoteInvalid(f"{path} is not UTF-8") from wrong
