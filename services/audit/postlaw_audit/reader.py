"""Reading the log: entries, inclusion and consistency proofs, from tiles and from what is committed but not yet in full tiles."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from postlaw_audit.domain.merkle import node_hash, subtree_root
from postlaw_audit.domain.proofs import Range, consistency_ranges, inclusion_ranges, perfect
from postlaw_audit.domain.tiles import WIDTH, entry_of, tile_path, unbundle
from postlaw_audit.entries import event_id_of, parts_of
from postlaw_audit.index import EventIndex
from postlaw_audit.notes import Checkpoint, parse_checkpoint
from postlaw_audit.publishing import CHECKPOINT, WITNESSED
from postlaw_audit.sources import BlobFiles, tile
from postlaw_common.blobs import Blobs
from postlaw_common.errors import Invalid, NotFound, Unavailable

KEPT_BYTES = 16 << 20  # a tile takes 8 kB, a bundle of entries a hundred and more
LARGEST_KEPT = 1 << 20


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
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._kept_bytes = 0

    async def checkpoint(self) -> tuple[Checkpoint, str]:
        """The latest, and its signed note. Raises Unavailable while there is none yet."""
        note = await self._blobs.get(CHECKPOINT)
        if note is None:
            raise Unavailable("The audit log has no checkpoint yet: nothing has happened so far. Try again in a second.")
        return parse_checkpoint(note.decode()), note.decode()

    async def prove_event(self, event_id: str) -> Inclusion:
        """NotFound where no entry below the checkpoint holds this event: just now it may be on its way (within a second)."""
        # What is below a checkpoint was in the index before it, so both are asked at once; and as good as always there is one candidate.
        (newest, newest_note), candidates, cosigned = await asyncio.gather(
            self.checkpoint(), self._index.candidates(event_id), self._cosigned()
        )
        for index in candidates:
            if index < newest.size:
                checkpoint, note = cosigned if cosigned and cosigned[0].size > index else (newest, newest_note)
                entry, hashes = await asyncio.gather(self.entry(index, newest.size), self.prove(index, checkpoint))
                if event_id_of(entry) == event_id:
                    found = Inclusion(index, entry, hashes, checkpoint, note)
                    return found if (parts := parts_of(entry)) == 1 else await self._whole(found, parts, newest.size)
        raise NotFound("The audit log holds no such event. An event is provable within a second of its happening.")

    async def _whole(self, first: Inclusion, parts: int, size: int) -> Inclusion:
        """With the proofs of the entries behind it, which one commit put there with it: so a checkpoint covers all of them or none."""

        async def proved(index: int) -> Inclusion:
            entry, hashes = await asyncio.gather(self.entry(index, size), self.prove(index, first.checkpoint))
            return replace(first, index=index, entry=entry, hashes=hashes)

        return replace(first, more=await asyncio.gather(*map(proved, range(first.index + 1, first.index + parts))))

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

    async def _cosigned(self) -> tuple[Checkpoint, str] | None:
        found = await self._blobs.get(WITNESSED) if self._has_witnesses() else None
        return (parse_checkpoint(found.decode()), found.decode()) if found else None

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
        places = {_tile_of(*peak) for leaves in ranges for peak in perfect(*leaves)}
        read = await asyncio.gather(*(self._tile(level, number, size) for level, number in places))
        tiles = dict(zip(places, read, strict=True))
        return [_root_of(leaves, tiles) for leaves in ranges]

    async def _tile(self, level: int, number: int, size: int, *, once: bool = False) -> bytes:
        there = size >> (8 * max(0, level))
        width = min(WIDTH, there - number * WIDTH)
        path = tile_path(level, number, width)
        if path in self._kept:
            self._kept.move_to_end(path)
            return self._kept[path]
        data = await tile(self._files, level, number, width)
        if data is None:
            raise Unavailable(f"The audit log's {path} cannot be read now. Try again.")
        if not once and len(data) <= LARGEST_KEPT and path not in self._kept:  # another reader may have been quicker
            self._kept[path] = data
            self._kept_bytes += len(data)
            while self._kept_bytes > KEPT_BYTES:
                self._kept_bytes -= len(self._kept.popitem(last=False)[1])
        return data


def _level_of(start: int, end: int) -> int:
    """Of tiles, the lowest in which the root of this perfect subtree is no more than a few hashes away."""
    return ((end - start).bit_length() - 1) // 8


def _tile_of(start: int, end: int) -> tuple[int, int]:
    """Level and number."""
    level = _level_of(start, end)
    return level, start >> 8 * (level + 1)


def _root_of(leaves: Range, tiles: Mapping[tuple[int, int], bytes]) -> bytes:
    found: bytes | None = None
    for start, end in reversed(perfect(*leaves)):
        level = _level_of(start, end)
        place, width = (start >> 8 * level) % WIDTH, (end - start) >> 8 * level
        peak = subtree_root(tiles[_tile_of(start, end)][32 * place : 32 * (place + width)])
        found = peak if found is None else node_hash(peak, found)
    assert found is not None
    return found
