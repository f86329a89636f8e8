"""Which entry is this event? Ids are UUIDv7, so a small index by second leads there; it follows from the log and can be rebuilt."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence

from postlaw_audit.entries import second_of
from postlaw_common.store import Collection, CollectionSpec, Index

EVENT_INDEX = CollectionSpec("event_index", (Index("second"),), packed=True)
_PAGE = 100  # documents: more than a second has, as a rule, and few enough to be read at once
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
        await self._open().insert_many(
            [
                {"_id": f"{second:011d}/{start:015d}", "second": f"{second:011d}", "start": start, "rows": b"".join(found)}
                for second, found in rows.items()
            ]
        )

    async def candidates(self, event_id: str) -> list[int]:
        """Indexes of entries that may be this event, lowest first."""
        second = second_of(event_id)
        if second is None:
            return []
        wanted, found, after = _short(event_id), list[int](), ""
        while True:
            page = await self._open().find("second", f"{second:011d}", after=after, limit=_PAGE)
            for document in page:
                rows = bytes(document["rows"])
                at = rows.find(wanted)
                while at >= 0:
                    if at % _ROW == 0:
                        found.append(document["start"] + int.from_bytes(rows[at + 8 : at + _ROW], "big"))
                    at = rows.find(wanted, at + 1)
            if len(page) < _PAGE:
                return sorted(found)
            after = page[-1]["_id"]
