"""Reading the log: entries, inclusion and consistency proofs, from tiles and from what is committed but not yet in full tiles."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from postlaw_audit.domain.merkle import leaf_hashes, node_hash, subtree_root
from postlaw_audit.domain.proofs import Range, consistency_ranges, inclusion_ranges, perfect
from postlaw_audit.domain.tiles import WIDTH, entry_of, tile_path, unbundle
from postlaw_audit.entries import event_id_of, parts_of
from postlaw_audit.index import EventIndex
from postlaw_audit.kept_files import KeptFiles
from postlaw_audit.notes import Checkpoint
from postlaw_audit.publishing import CHECKPOINT, WITNESSED, checkpoint_in
from postlaw_audit.sources import BlobFiles, tile
from postlaw_common.blobs import Blobs
from postlaw_common.errors import Invalid, NotFound, Unavailable

KEPT_BYTES = 8 << 20  # of tiles, and as many of bundles: a tile takes 8 kB and serves 65,536 entries' proofs, a bundle a hundred and more
RECENT_S = 1.0

Signed = tuple[tuple[Checkpoint, str], tuple[Checkpoint, str] | None]  # the latest with its note, and the latest that witnesses cosigned


@dataclass(frozen=True, slots=True)
class Inclusion:
    """An entry with the proof that it stands at `index` below the checkpoint. `more`: of an event that takes several entries the others."""

    index: int
    entry: bytes
    hashes: list[bytes]
    checkpoint: Checkpoint
    note: str
    more: Sequence[Inclusion] = ()


class LogReader:
    """Everything is read below the published checkpoint, so each answer verifies against it. `witnessed`: whether there are witnesses, so
    that what they have cosigned is proved below their checkpoint."""

    def __init__(self, blobs: Blobs, index: EventIndex, *, witnessed: Callable[[], bool] = lambda: False) -> None:
        self._blobs = blobs
        self._files = BlobFiles(blobs)
        self._index = index
        self._has_witnesses = witnessed
        self._tiles_kept, self._bundles_kept = KeptFiles(KEPT_BYTES), KeptFiles(KEPT_BYTES)
        self._signed: Signed | None = None
        self._signed_at = 0.0

    async def checkpoint(self) -> tuple[Checkpoint, str]:
        """The latest, and its signed note. Raises Unavailable while there is none yet, or while it is damaged."""
        note = await self._blobs.get(CHECKPOINT)
        if note is None:
            raise Unavailable("The audit log has no checkpoint yet: nothing has happened so far. Try again in a second.")
        checkpoint = checkpoint_in(note)
        if checkpoint is None:
            raise Unavailable("The audit log's checkpoint is damaged: its writer sets it again within seconds. Try again.")
        return checkpoint, note.decode()

    async def prove_event(self, event_id: str) -> Inclusion:
        """NotFound where no entry below the checkpoint holds this event: just now it may be on its way (within a second)."""
        # What is below a checkpoint was in the index before it, so both are asked at once; and as good as always there is one candidate.
        ((newest, newest_note), cosigned), candidates = await asyncio.gather(self._recent(), self._index.candidates(event_id))
        if candidates and candidates[-1] >= newest.size:
            (newest, newest_note), cosigned = await self._latest()
        for index in candidates:
            if index < newest.size:
                checkpoint, note = cosigned if cosigned and cosigned[0].size > index else (newest, newest_note)
                entry, hashes = await self.proved(index, newest.size, checkpoint)
                if event_id_of(entry) == event_id:
                    found = Inclusion(index, entry, hashes, checkpoint, note)
                    return found if (parts := parts_of(entry)) == 1 else await self._whole(found, parts, newest.size)
        raise NotFound("The audit log holds no such event. An event is provable within a second of its happening.")

    async def _whole(self, first: Inclusion, parts: int, size: int) -> Inclusion:
        """With the proofs of the entries behind it, which one commit put there with it: so a checkpoint covers all of them or none."""

        async def further(index: int) -> Inclusion:
            entry, hashes = await self.proved(index, size, first.checkpoint)
            return replace(first, index=index, entry=entry, hashes=hashes)

        return replace(first, more=await asyncio.gather(*map(further, range(first.index + 1, first.index + parts))))

    async def proved(self, index: int, size: int, checkpoint: Checkpoint) -> tuple[bytes, list[bytes]]:
        """An entry below a checkpoint of this size, with its proof below one that may be older. What its bundle's hashes are, the bundle
        says, which is read for it anyway: to ask the bucket for the tile as well takes longer than to hash it."""
        number = index // WIDTH
        ranges = inclusion_ranges(index, checkpoint.size)
        places = _places_of(ranges) - {(0, number)}
        entries, tiles = await asyncio.gather(self.bundle(number, size), self._tiles(places, checkpoint.size))
        tiles[0, number] = b"".join(leaf_hashes(entries[: checkpoint.size - number * WIDTH]))
        return entries[index % WIDTH], [_root_of(leaves, tiles) for leaves in ranges]

    async def find_event(self, event_id: str, size: int) -> tuple[int, bytes] | None:
        """Its place and its entry, below a checkpoint of this size."""
        for index in await self._index.candidates(event_id):
            if index < size and event_id_of(entry := await self.entry(index, size)) == event_id:
                return index, entry
        return None

    async def witnessed(self, index: int) -> tuple[Checkpoint, str] | None:
        """The newest checkpoint that witnesses have cosigned, where it covers the entry."""
        found = await self._cosigned()
        return found if found and found[0].size > index else None

    async def _recent(self) -> Signed:
        """The checkpoints of a second ago at most: what they cover is proved below them as well, by edge tiles that were read before."""
        if self._signed is None or time.monotonic() - self._signed_at >= RECENT_S:
            return await self._latest()
        return self._signed

    async def _latest(self) -> Signed:
        asked_at = time.monotonic()
        self._signed = await asyncio.gather(self.checkpoint(), self._cosigned())
        self._signed_at = asked_at
        return self._signed

    async def _cosigned(self) -> tuple[Checkpoint, str] | None:
        found = await self._blobs.get(WITNESSED) if self._has_witnesses() else None
        checkpoint = checkpoint_in(found) if found else None
        return (checkpoint, found.decode()) if checkpoint and found else None

    async def prove_consistency(self, first: int, second: int) -> tuple[int, list[bytes], bytes, bytes]:
        """(second, proof, first's root, second's root); `second` 0 stands for the latest checkpoint's size. Raises Invalid."""
        checkpoint, _ = await self.checkpoint()
        second = second or checkpoint.size
        if not 0 < first <= second <= checkpoint.size:
            raise Invalid(f"first and second must be sizes with 0 < first <= second <= {checkpoint.size}.")
        ranges = consistency_ranges(first, second) if first < second else []
        *proof, first_root, second_root = await self._roots_of([*ranges, (0, first), (0, second)], checkpoint.size)
        return second, proof, first_root, second_root

    async def prove(self, index: int, checkpoint: Checkpoint) -> list[bytes]:
        """The inclusion proof of one entry."""
        return await self._roots_of(inclusion_ranges(index, checkpoint.size), checkpoint.size)

    async def bundle(self, number: int, size: int, *, once: bool = False) -> list[bytes]:
        """The entries from 256 · `number` on that a checkpoint of this size covers, 256 at most. `once`: it is not asked for again soon.
        Raises Unavailable."""
        return unbundle(await self._tile(-1, number, size, once=once))

    async def packed_bundle(self, number: int, size: int) -> bytes:
        """The same as it is stored, for whoever needs few of its entries."""
        return await self._tile(-1, number, size)

    async def entry(self, index: int, size: int) -> bytes:
        return entry_of(await self.packed_bundle(index // WIDTH, size), index % WIDTH)

    async def _roots_of(self, ranges: Sequence[Range], size: int) -> list[bytes]:
        """Of subtrees, whose tiles are read side by side, each once."""
        tiles = await self._tiles(_places_of(ranges), size)
        return [_root_of(leaves, tiles) for leaves in ranges]

    async def _tiles(self, places: Set[tuple[int, int]], size: int) -> dict[tuple[int, int], bytes]:
        read = await asyncio.gather(*(self._tile(level, number, size) for level, number in places))
        return dict(zip(places, read, strict=True))

    async def _tile(self, level: int, number: int, size: int, *, once: bool = False) -> bytes:
        there = size >> (8 * max(0, level))
        width = min(WIDTH, there - number * WIDTH)
        path = tile_path(level, number, width)
        kept = self._bundles_kept if level < 0 else self._tiles_kept
        if (data := kept.get(path)) is not None:
            return data
        data = await tile(self._files, level, number, width)
        if data is None:
            raise Unavailable(f"The audit log's {path} cannot be read now. Try again.")
        if not once:
            kept.keep(path, data)
        return data


def _level_of(start: int, end: int) -> int:
    """Of tiles, the lowest in which the root of this perfect subtree is no more than a few hashes away."""
    return ((end - start).bit_length() - 1) // 8


def _tile_of(start: int, end: int) -> tuple[int, int]:
    """Level and number."""
    level = _level_of(start, end)
    return level, start >> 8 * (level + 1)


def _places_of(ranges: Sequence[Range]) -> set[tuple[int, int]]:
    return {_tile_of(*peak) for leaves in ranges for peak in perfect(*leaves)}


def _root_of(leaves: Range, tiles: Mapping[tuple[int, int], bytes]) -> bytes:
    found: bytes | None = None
    for start, end in reversed(perfect(*leaves)):
        level = _level_of(start, end)
        place, width = (start >> 8 * level) % WIDTH, (end - start) >> 8 * level
        peak = subtree_root(tiles[_tile_of(start, end)][32 * place : 32 * (place + width)])
        found = peak if found is None else node_hash(peak, found)
    assert found is not None
    return found
