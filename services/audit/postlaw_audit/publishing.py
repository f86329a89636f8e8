"""The published checkpoint: signed after each commit, and set again with cosignatures where it is still the newest when they come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from postlaw_audit import sources
from postlaw_audit.log_state import LogState
from postlaw_audit.notes import Checkpoint, parse_checkpoint
from postlaw_audit.sources import PREFIX
from postlaw_common.blobs import Blobs
from postlaw_common.telemetry import get_logger

log = get_logger("audit.publishing")

CHECKPOINT = PREFIX + sources.CHECKPOINT
WITNESSED = PREFIX + sources.WITNESSED


def checkpoint_in(note: bytes) -> Checkpoint | None:
    """Nothing is verified. None where the bytes are no checkpoint: somebody has damaged the object, which the writer then sets again."""
    try:
        return parse_checkpoint(note.decode())
    except ValueError as wrong:
        log.error("audit_checkpoint_is_damaged", reason=str(wrong))
        return None


class Publisher:
    """`sign` makes a signed note of a checkpoint. `newest`: what this process published last."""

    def __init__(self, blobs: Blobs, sign: Callable[[Checkpoint], str], origin: str) -> None:
        self._blobs = blobs
        self._sign = sign
        self._origin = origin
        self._one_at_a_time = asyncio.Lock()
        self.newest: tuple[Checkpoint, str] | None = None

    async def publish(self, state: LogState) -> None:
        checkpoint = Checkpoint(self._origin, state.size, state.root())
        async with self._one_at_a_time:
            await self._set(checkpoint, self._sign(checkpoint))

    async def published_size(self) -> int:
        """Of what stands there, whoever has set it."""
        note = await self._blobs.get(CHECKPOINT)
        there = checkpoint_in(note) if note else None
        return there.size if there else 0

    async def join(self, checkpoint: Checkpoint, note: str, *, enough: bool) -> None:
        """The checkpoint's note, now with cosignatures. `enough`: the policy's quorum is among them."""
        if enough:
            await self._blobs.put(WITNESSED, note.encode())
        async with self._one_at_a_time:
            if self.newest is not None and self.newest[0] == checkpoint:
                await self._set(checkpoint, note)

    async def _set(self, checkpoint: Checkpoint, note: str) -> None:
        await self._blobs.put(CHECKPOINT, note.encode())
        self.newest = checkpoint, note
