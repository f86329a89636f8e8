"""The log's one document: how far it has come, what it has committed, and who may write it.

A commit is one write of this document: size, right edge and the topics' offsets move together, so that no entry is dropped or
repeated however the writer ends. Segments hold what is committed and not yet in full tiles; everything else follows from them,
so whoever derives tiles, however late or paused, derives the same bytes.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from postlaw_audit.domain.tiles import GrowingTree
from postlaw_common.store import AlreadyExists, Collection, CollectionSpec, VersionConflict

LOG = CollectionSpec("log")
LOG_ID = "log"
LEASE_S = 5.0


class WriterOvertaken(Exception):
    """Another writer has raised the epoch: this one must not write again."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A blob with committed entries [start, start + count)."""

    key: str
    start: int
    count: int


@dataclass(slots=True)
class LogState:
    """`edge`: per level the hashes of the tile that is not full. `offsets`: per topic and partition the next to be read, in the last of
    the topics' `generations`. `derived`: entries below it are in tiles and in the index."""

    owner: str = ""
    epoch: int = 0
    renewals: int = 0
    size: int = 0
    edge: list[bytes] = field(default_factory=list[bytes])
    offsets: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    generations: list[str] = field(default_factory=list[str])
    segments: list[Segment] = field(default_factory=list[Segment])
    derived: int = 0
    v: int = 0

    def levels(self) -> list[list[bytes]]:
        return [[row[i : i + 32] for i in range(0, len(row), 32)] for row in self.edge]

    def root(self) -> bytes:
        return GrowingTree(self.size, self.levels()).root()


def _to_document(state: LogState) -> dict[str, Any]:
    """`offsets`: 8 bytes a partition, a row for each of `topics`. No list stands inside a list: not every MongoDB-wire server takes it."""
    return {
        "_id": LOG_ID,
        "owner": state.owner,
        "epoch": state.epoch,
        "renewals": state.renewals,
        "size": state.size,
        "edge": state.edge,
        "topics": list(state.offsets),
        "offsets": [struct.pack(f">{len(row)}q", *row) for row in state.offsets.values()],
        "generations": state.generations,
        "segments": [{"key": s.key, "start": s.start, "count": s.count} for s in state.segments],
        "derived": state.derived,
    }


def _from_document(document: dict[str, Any]) -> LogState:
    return LogState(
        owner=document["owner"],
        epoch=document["epoch"],
        renewals=document["renewals"],
        size=document["size"],
        edge=[bytes(row) for row in document["edge"]],
        offsets={
            topic: list(struct.unpack(f">{len(row) // 8}q", row))
            for topic, row in zip(document["topics"], document["offsets"], strict=True)
        },
        generations=document.get("generations", []),
        segments=[Segment(**segment) for segment in document["segments"]],
        derived=document["derived"],
        v=document["v"],
    )


class LogStates:
    """Reads for everybody, writes for the one writer."""

    def __init__(self, collection: Callable[[], Collection], writer: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._open = collection
        self._writer = writer
        self._monotonic = monotonic
        self._seen: tuple[tuple[str, int, int], float] | None = None
        self._written: tuple[int, float] | None = None  # the epoch of this writer's last write, and when that began

    async def read(self) -> LogState | None:
        document = await self._open().get(LOG_ID, linearizable=True)
        return _from_document(document) if document else None

    async def try_to_own(self) -> LogState | None:
        """The state, once this writer owns it: at first, when it was let go, when it is its own from before an outage, or when its writer
        has stood still for a lease time. A writer's name is its process's alone."""
        state = await self.read()
        if state is None:
            try:
                await self._open().insert(_to_document(LogState()))
            except AlreadyExists:
                return None
            state = await self.read()
            assert state is not None
        mark = (state.owner, state.epoch, state.renewals)
        if self._seen is None or self._seen[0] != mark:
            self._seen = (mark, self._monotonic())
        if state.owner not in ("", self._writer) and self._monotonic() - self._seen[1] < LEASE_S:
            return None
        try:
            return await self._replace(replace(state, owner=self._writer, epoch=state.epoch + 1))
        except WriterOvertaken:
            return None

    async def commit(self, state: LogState) -> LogState:
        """Raises WriterOvertaken."""
        return await self._replace(state)

    async def still_owns(self, state: LogState) -> None:
        """Raises WriterOvertaken where another writer had raised the epoch by now. It may do so right after: only `commit` fences.

        The store is not asked for half a lease after a write of this writer: nobody takes over before that has stood for a whole one."""
        if self._written and self._written[0] == state.epoch and self._monotonic() - self._written[1] < LEASE_S / 2:
            return
        now = await self.read()
        if now is None or now.epoch != state.epoch:
            raise WriterOvertaken(f"epoch {state.epoch} of the audit log is over")

    async def let_go(self, state: LogState) -> None:
        await self._replace(replace(state, owner=""))

    async def _replace(self, state: LogState) -> LogState:
        state = replace(state, renewals=state.renewals + 1)
        began = self._monotonic()
        try:
            stored = await self._open().replace(_to_document(state), version=state.v)
        except VersionConflict as conflict:
            self._written = None
            raise WriterOvertaken(f"epoch {state.epoch} of the audit log is over") from conflict
        self._written = (state.epoch, began)
        return replace(state, v=stored["v"])
