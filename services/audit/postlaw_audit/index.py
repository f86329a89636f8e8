"""Which entry is this event? Ids are UUIDv7, so a small index by second leads there; it follows from the log and can be rebuilt."""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence

from postlaw_audit.entries import second_of
from postlaw_common.store import Collection, CollectionSpec, Document, Index

EVENT_INDEX = CollectionSpec("event_index", (Index("second"),), packed=True)
_PAGE = 100  # documents: more than a second has, as a rule, and few enough to be read at once
_MANY = 256  # rows; more of them stand in 64 documents by the hash's first six bits: a server of documents takes its time over bytes
_ROW = 12  # 8 bytes of the id's hash, 4 bytes of distance from the document's start


def _short(event_id: str) -> bytes:
    return hashlib.sha256(event_id.encode()).digest()[:8]


class EventIndex:
    def __init__(self, collection: Callable[[], Collection]) -> None:
        self._open = collection

    async def add(self, start: int, event_ids: Sequence[str]) -> None:
        """The ids of the entries from index `start` on. Repeating it changes nothing."""
        rows: dict[int, list[bytes]] = defaultdict(list)
        for distance, event_id in enumerate(event_ids):
            second = second_of(event_id)
            if second is not None:
                rows[second].append(_short(event_id) + distance.to_bytes(4, "big"))
        documents: list[Document] = []
        for second, found in rows.items():
            if len(found) <= _MANY:
                documents.append(_document(f"{second:011d}", start, found))
                continue
            parts: dict[int, list[bytes]] = defaultdict(list)
            for row in found:
                parts[row[0] >> 2].append(row)
            documents += [_document(_part(f"{second:011d}", number), start, part) for number, part in parts.items()]
        await self._open().insert_many(documents)

    async def candidates(self, event_id: str) -> list[int]:
        """Indexes of entries that may be this event, lowest first."""
        second = second_of(event_id)
        if second is None:
            return []
        wanted, name = _short(event_id), f"{second:011d}"
        few, many = await asyncio.gather(self._rows_at(name, wanted), self._rows_at(_part(name, wanted[0] >> 2), wanted))
        # Earlier versions had sixteen parts of a second. One that they had begun stands in both kinds.
        return sorted({*few, *many}) or await self._rows_at(f"{name}.{wanted[0] >> 4:x}", wanted)

    async def _rows_at(self, name: str, wanted: bytes) -> list[int]:
        found, after = list[int](), ""
        while True:
            page = await self._open().find("second", name, after=after, limit=_PAGE)
            for document in page:
                rows = bytes(document["rows"])
                at = rows.find(wanted)
                while at >= 0:
                    if at % _ROW == 0:
                        found.append(document["start"] + int.from_bytes(rows[at + 8 : at + _ROW], "big"))
                    at = rows.find(wanted, at + 1)
            if len(page) < _PAGE:
                return found
            after = page[-1]["_id"]


def _part(name: str, number: int) -> str:
    return f"{name}.{number:02d}"


def _document(name: str, start: int, rows: list[bytes]) -> Document:
    return {"_id": f"{name}/{start:015d}", "second": name, "start": start, "rows": b"".join(rows)}
