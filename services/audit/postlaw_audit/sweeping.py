"""Partial tiles that full ones have replaced are deleted, as C2SP tlog-tiles allows: whoever holds an older checkpoint cuts the full tile.

A partial tile stays for a day at least after its full one was published, so that nobody who reads at a checkpoint meets a gap, even a
reader that does not cut; and until the checkpoint that witnesses cosigned last has passed it, since proofs lead to that one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

from postlaw_audit.domain.tiles import WIDTH, tile_path
from postlaw_audit.publishing import CHECKPOINT, WITNESSED, checkpoint_in
from postlaw_audit.sources import PREFIX
from postlaw_common.blobs import BlobRetained, Blobs, BlobsUnavailable
from postlaw_common.foreground import step_aside
from postlaw_common.store import AlreadyExists, Collection, StoreUnavailable, VersionConflict
from postlaw_common.telemetry import get_logger

log = get_logger("audit.sweeping")

STAY_US = 24 * 3600 * 1_000_000
EVERY_S = 3600.0
AT_ONCE = 16  # deletes
SWEPT_ID = "partial-tiles"  # beside the log's state
_LISTED = 100  # tiles in one list of names
_DAMAGED = -1  # a size: what is there is no checkpoint, and says nothing of what may go


class Sweeping:
    """`log_collection`: the one of the log's state. A document in it says up to which size all is swept, and which size was published at
    what time: up to there the next sweep goes."""

    def __init__(self, blobs: Blobs, log_collection: Callable[[], Collection], now_us: Callable[[], int]) -> None:
        self._blobs = blobs
        self._open = log_collection
        self._now_us = now_us

    async def run(self) -> None:
        """Until cancelled. What cannot be reached is waited for."""
        while True:
            try:
                if deleted := await self.once():
                    log.info("audit_partial_tiles_swept", deleted=deleted)
            except (BlobsUnavailable, StoreUnavailable) as away:
                log.warning("audit_sweeping_waits", error=str(away))
            await asyncio.sleep(EVERY_S)

    async def once(self) -> int:
        """How many partial tiles it deleted; several processes may do so at once."""
        published, witnessed = await self._size(CHECKPOINT), await self._size(WITNESSED)
        seen = await self._open().get(SWEPT_ID)
        if published is None or _DAMAGED in (published, witnessed):
            return 0
        if seen is None:
            try:
                await self._open().insert({"_id": SWEPT_ID, "swept": 0, "size": published, "at_us": self._now_us()})
            except AlreadyExists:
                return 0  # another process has begun
            return 0
        if self._now_us() - seen["at_us"] < STAY_US:
            return 0
        end = min(seen["size"], published if witnessed is None else min(published, witnessed))
        deleted, retained = await self._sweep(seen["swept"], end)
        after: dict[str, Any] = {"swept": seen["swept"] if retained else end, "size": published, "at_us": self._now_us()}
        try:
            await self._open().replace(seen | after, version=seen["v"])
        except VersionConflict:
            log.debug("audit_swept_by_another_process")
        return deleted

    async def _size(self, key: str) -> int | None:
        """None where there is none."""
        note = await self._blobs.get(key)
        if note is None:
            return None
        checkpoint = checkpoint_in(note)
        return checkpoint.size if checkpoint else _DAMAGED

    async def _sweep(self, begin: int, end: int) -> tuple[int, int]:
        """Of tiles that became full between the two sizes: (deleted, not deleted, since they are under retention)."""
        deleted = retained = 0
        async for keys in self._replaced(begin, end):
            for at in range(0, len(keys), AT_ONCE):
                done = await asyncio.gather(*(self._delete(key) for key in keys[at : at + AT_ONCE]))
                deleted += sum(done)
                retained += len(done) - sum(done)
                await step_aside()
        return deleted, retained

    async def _delete(self, key: str) -> bool:
        try:
            await self._blobs.delete(key)
        except BlobRetained:
            return False
        return True

    async def _replaced(self, begin: int, end: int) -> AsyncGenerator[list[str]]:
        """Partial tiles beside full ones, in pieces, the lowest level first."""
        for level in range(-1, 8):
            width = WIDTH ** (max(0, level) + 1)  # entries of a full tile
            first, last = begin // width, end // width
            for start in range(first - first % _LISTED, last, _LISTED):
                listed = PREFIX + tile_path(level, start)[:-2]
                found = {key async for key in self._blobs.keys(listed)}
                full = found & {PREFIX + tile_path(level, number) for number in range(max(first, start), min(last, start + _LISTED))}
                yield sorted(key for key in found if ".p/" in key and key.partition(".p/")[0] in full)
