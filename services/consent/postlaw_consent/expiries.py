"""When implied consents end: a note for each, found by the day on which it is due. The law alone closes the gate; these are for telling it.

A note is made before its event, for the same day, and moved to the day on which the consent ends once the sweep has looked at it:
so recording needs nobody else, and a crash leaves at most a note of an event that never came.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from datetime import date

from postlaw_common.store import Collection, CollectionSpec, Document, Index, VersionConflict
from postlaw_law.clocks import instant

EXPIRIES = CollectionSpec("expiries", (Index("day"), Index("tenant_day")), packed=True)

_PAGE = 500


@dataclass(frozen=True, slots=True)
class Due:
    """`event`: the ledger document's `_id`. `ends_us` None: not looked at yet."""

    event: str
    day: date
    ends_us: int | None
    noted_us: int
    document: Document

    @property
    def tenant_id(self) -> str:
        return self.event.split("/", 1)[0]

    @property
    def version(self) -> int:
        return int(self.event[-8:])


class Expiries:
    def __init__(self, collection: Callable[[], Collection]) -> None:
        self._collection = collection

    async def note(self, events: Sequence[str], now_us: int) -> None:
        """Notes that these, which are about to be recorded, may end some day."""
        day = _day_of(now_us)
        await self._collection().insert_many([_document(event, day, None, now_us) for event in events])

    async def move(self, due: Due, ends_us: int) -> None:
        """To the day on which it ends. Who comes second leaves it."""
        document = _document(due.event, _day_of(ends_us), ends_us, due.noted_us)
        try:
            await self._collection().replace(document, version=due.document["v"])
        except VersionConflict:
            return

    async def forget(self, due: Due) -> None:
        await self._collection().delete(due.event)

    async def of_day(self, day: date, tenant_id: str = "") -> AsyncGenerator[list[Due]]:
        """In pages."""
        field, value = ("tenant_day", f"{tenant_id}/{day.isoformat()}") if tenant_id else ("day", day.isoformat())
        after = ""
        while found := await self._collection().find(field, value, after=after, limit=_PAGE):
            after = found[-1]["_id"]
            yield [Due(one["_id"], date.fromisoformat(one["day"]), one["ends"], one["noted"], one) for one in found]
            if len(found) < _PAGE:
                return


def _document(event: str, day: str, ends_us: int | None, noted_us: int) -> Document:
    return {
        "_id": event, "day": day, "tenant_day": f"{event.split('/', 1)[0]}/{day}", "ends": ends_us, "noted": noted_us,
    }  # fmt: skip


def _day_of(at_us: int) -> str:
    return instant(at_us).date().isoformat()
