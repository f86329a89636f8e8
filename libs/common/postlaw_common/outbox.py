"""The outbox: events leave with the document that they tell about, and are swept up after a crash.

A service writes a change and the records that announce it in *one* document write (`add_to_outbox`, then insert or replace), and
publishes them right after (`Outbox.publish_after_write`). What a crash or a lost bus leaves behind is found by the marker
`outbox_due` and published by the sweep. A record may so be published twice: consumers tell by event id or sequence.

Clearing is lazy and raises the document's `v`. An aggregate whose version others see (ETag, an event's sequence) keeps that
version in a field of its own, for example `revision`, so that clearing is invisible.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from postlaw_common.bus import Bus, BusUnavailable, Record
from postlaw_common.service import Background
from postlaw_common.store import Collection, Document, Index, StoreUnavailable, VersionConflict
from postlaw_common.store.changing import change
from postlaw_common.telemetry import get_logger, meter
from postlaw_common.telemetry.gauges import Gauge

OUTBOX_INDEX = Index("outbox_due")  # every collection with an outbox declares it
DUE = "1"

_log = get_logger(__name__)
_swept = meter(__name__).create_counter(
    "postlaw.outbox.swept", unit="{record}", description="Records that a crash or a lost bus had left behind"
)
_pending = Gauge("postlaw.outbox.pending", "{document}", "Documents whose records should have left, as the last sweep came upon them")


def add_to_outbox(document: Document, records: Sequence[Record]) -> Document:
    """Puts the records into the document that is about to be written; keeps those that still wait there. Returns the document."""
    if records:
        document["outbox"] = [*document.get("outbox", ()), *map(pack, records)]
        document["outbox_due"] = DUE
        document["outbox_at_us"] = time.time_ns() // 1000
    return document


def pack(record: Record) -> Document:
    packed: Document = {"topic": record.topic, "partition": record.partition, "value": record.value, "headers": dict(record.headers)}
    if record.key is not None:
        packed["key"] = record.key
    return packed


def unpack(packed: Document) -> Record:
    return Record(packed["topic"], packed["partition"], packed["value"], packed.get("key"), packed["headers"])


class Outbox:
    """One service's outbox over `collections()`: asked for when the sweep runs, since stores open after services are built."""

    def __init__(
        self, bus: Bus, collections: Callable[[], Sequence[Collection]], *, sweep_after_s: float = 5.0, clear_after_s: float = 0.5
    ) -> None:
        self._bus = bus
        self._collections = collections
        self._sweep_after_us = int(sweep_after_s * 1_000_000)
        self._sweep_every_s = sweep_after_s
        self._clear_after_s = clear_after_s
        self._to_clear: dict[tuple[int, str], tuple[Collection, set[bytes]]] = {}
        self._work = asyncio.Event()
        self._pending: int | None = None

    def background(self, name: str = "outbox") -> Background:
        """Goes into `Service.backgrounds`."""
        return Background(name, self.run)

    async def publish_after_write(self, collection: Collection, document: Document) -> list[int] | None:
        """Publishes what the document, just written, carries; the offsets, in the outbox's order: the last ones are those of the
        records added last. What this process has published before and not cleared yet is not published again.

        None when the bus cannot be reached: the change stands, and the sweep will announce it."""
        published = self._to_clear.get((id(collection), document["_id"]), (collection, frozenset[bytes]()))[1]
        packed = [record for record in document.get("outbox", ()) if _identity(record) not in published]
        if not packed:
            return []
        try:
            offsets = await self._bus.publish([unpack(record) for record in packed])
        except BusUnavailable as failure:
            _log.warning("event waits in the outbox", document_id=document["_id"], failure=failure)
            return None
        self._clear_later(collection, document["_id"], packed)
        return offsets

    async def change(
        self, collection: Collection, id: str, to: Callable[[Document | None], Document | None]
    ) -> tuple[Document | None, Document | None]:
        """As `store.changing.change`; what `to` has put into the outbox leaves once it is written."""
        before, after = await change(collection, id, to)
        if after is not None and after is not before:
            await self.publish_after_write(collection, after)
        return before, after

    async def revise(self, collection: Collection, id: str, to: Callable[[Document], Document | None]) -> tuple[Document, Document] | None:
        """As `change`, of a document that is there already; None, and nothing done, where there is none."""
        before, after = await self.change(collection, id, lambda found: to(found) if found is not None else None)
        return (before, after) if before is not None and after is not None else None

    async def run(self) -> None:
        """Clears what was published, and sweeps up what was not, until cancelled."""
        with _pending.shows(lambda: self._pending):
            await self._run()

    async def _run(self) -> None:
        next_sweep = time.monotonic()  # at once: the last process may have crashed
        while True:
            try:
                if time.monotonic() >= next_sweep:
                    next_sweep = time.monotonic() + self._sweep_every_s
                    await self.sweep()
                await self.clear()
            except (BusUnavailable, StoreUnavailable) as failure:
                _log.warning("outbox cannot work now", failure=failure)
                await asyncio.sleep(1.0)
            with suppress(TimeoutError):
                # Not wait_for: in Python 3.11 it swallows a cancellation that comes together with the event.
                async with asyncio.timeout(max(0.0, next_sweep - time.monotonic())):
                    await self._work.wait()
                # Several changes of one document in quick succession are cleared by one write.
                await asyncio.sleep(self._clear_after_s)

    async def sweep(self) -> int:
        """One pass over all collections; returns how many records were published. Raises BusUnavailable, StoreUnavailable."""
        count = overdue = 0
        for collection in self._collections():
            after = ""
            while page := await collection.find(OUTBOX_INDEX.field, DUE, after=after, limit=200):
                after = page[-1]["_id"]
                late = time.time_ns() // 1000 - self._sweep_after_us
                for document in page:
                    if document["outbox_at_us"] > late or (id(collection), document["_id"]) in self._to_clear:
                        continue
                    overdue += 1
                    self._pending = max(overdue, self._pending or 0)  # if the bus does not take them, this is what is seen
                    await self._bus.publish([unpack(record) for record in document["outbox"]])
                    count += len(document["outbox"])
                    self._clear_later(collection, document["_id"], document["outbox"])
        self._pending = 0
        if count:
            _swept.add(count)
            _log.info("outbox swept", records=count)
        return count

    async def clear(self) -> None:
        """Takes published records out of their documents. Raises StoreUnavailable; what is left is cleared by a later call."""
        self._work.clear()
        while self._to_clear:
            # Side by side, so that the store gathers them into few durable writes.
            await asyncio.gather(*(self._clear_one(key, *what) for key, what in list(self._to_clear.items())[:64]))

    async def _clear_one(self, key: tuple[int, str], collection: Collection, published: set[bytes]) -> None:
        document = await collection.get(key[1])
        if document is not None and document.get("outbox_due") == DUE:
            try:
                await collection.replace(_without(document, published), version=document["v"])
            except VersionConflict:
                return  # somebody wrote in between: it stays on the list, and is read again
        # What was published while we wrote stands in another set, which stays.
        now = self._to_clear.get(key)
        if now is not None and now[1] is published:
            del self._to_clear[key]

    def _clear_later(self, collection: Collection, document_id: str, packed: Sequence[Document]) -> None:
        key = (id(collection), document_id)
        known = self._to_clear.get(key, (collection, frozenset[bytes]()))[1]
        self._to_clear[key] = (collection, {*known, *map(_identity, packed)})
        self._work.set()


def _identity(packed: Document) -> bytes:
    return packed["headers"].get("ce_id") or packed["value"]


def _without(document: Document, published: set[bytes]) -> Document:
    left = [record for record in document["outbox"] if _identity(record) not in published]
    cleared: dict[str, Any] = {name: value for name, value in document.items() if name not in ("outbox", "outbox_due", "outbox_at_us")}
    return cleared | {"outbox": left, "outbox_due": DUE, "outbox_at_us": document["outbox_at_us"]} if left else cleared
