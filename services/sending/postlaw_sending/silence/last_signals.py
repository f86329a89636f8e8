"""When people last gave a sign, to a day: of those alone whom a campaign that leaves out the silent has met, and who allow that signs of
theirs are known.

A person stands there under the first octets of their address key, as in return paths (messages/return_path.py): so an answer, which names
nobody further, is a sign like others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from postlaw_common.platform import Platform
from postlaw_common.store import Collection, CollectionSpec, Document, Index, VersionConflict
from postlaw_common.store.bulk import bulk_delete
from postlaw_sending.messages.return_path import PERSON
from postlaw_sending.silence.domain import DAY_US

LAST_SIGNALS: Final = CollectionSpec("last_signals", (Index("year"),), packed=True)
_KEPT_YEARS: Final = 4  # whole ones: more than the longest rule
_AT_ONCE: Final = 500  # people of whom the store is asked together


class LastSignals:
    """`collection`: `last_signals` of the database `sending`, a document a person. `year`: of their last sign, or in which a campaign
    last left them out."""

    def __init__(self, collection: Callable[[], Collection], now_us: Callable[[], int]) -> None:
        self._open = collection
        self._now_us = now_us

    async def long_silent(self, tenant_id: str, days: int, address_keys: Sequence[bytes]) -> set[bytes]:
        """Who has given no sign for more than so many days, of people who might have. Whoever is met for the first time is silent from
        now on. Raises StoreUnavailable."""
        by_id = {_id(tenant_id, key): key for key in address_keys}
        now_us = self._now_us()
        known = await self._open().get_many(list(by_id))
        if met := [_document(id, now_us, now_us) for id in by_id if id not in known]:
            await self._open().insert_many(met)
        silent = _silent(known, days, now_us)
        left_out = [document for document in silent if document["year"] != _year(now_us)]
        await asyncio.gather(*(self._replace(document, _document(document["_id"], document["at_us"], now_us)) for document in left_out))
        return {by_id[document["_id"]] for document in silent}

    async def number_silent(self, tenant_id: str, days: int, address_keys: Sequence[bytes]) -> int:
        """How many of them `long_silent` would name. Writes nothing: who is only looked at has not been met. Raises StoreUnavailable."""
        known = await self._open().get_many([_id(tenant_id, key) for key in address_keys])
        return len(_silent(known, days, self._now_us()))

    async def heard(self, signs: Mapping[tuple[str, bytes], int]) -> None:
        """By customer and address key, or its first octets: when they gave a sign. Who is not known stays so. Again changes nothing.
        Raises StoreUnavailable."""
        latest: dict[str, int] = {}
        for (tenant_id, key), at_us in signs.items():
            id = _id(tenant_id, key)
            latest[id] = max(at_us, latest.get(id, 0))
        ids = list(latest)
        for start in range(0, len(ids), _AT_ONCE):
            known = await self._open().get_many(ids[start : start + _AT_ONCE])
            await asyncio.gather(*(self._move_on(document, latest[id]) for id, document in known.items()))

    async def forget(self, people: Iterable[tuple[str, bytes]]) -> None:
        """By customer and address key. Raises StoreUnavailable."""
        for id in await self._open().get_many([_id(*person) for person in people]):
            await self._open().delete(id)

    async def forget_old(self) -> None:
        """Removes those of whom neither a sign nor a campaign has told for four years. Raises StoreUnavailable."""
        oldest = int(_year(self._now_us())) - _KEPT_YEARS
        for year in range(oldest - _KEPT_YEARS, oldest):  # of some years, in case nobody came by then
            await bulk_delete(self._open(), "year", str(year))

    async def _move_on(self, document: Document, at_us: int) -> None:
        found: Document | None = document
        while found is not None and at_us - found["at_us"] >= DAY_US:
            if await self._replace(found, _document(found["_id"], at_us, at_us)):
                return
            found = await self._open().get(found["_id"], linearizable=True)

    async def _replace(self, found: Document, written: Document) -> bool:
        try:
            await self._open().replace(written, version=found["v"])
        except VersionConflict:
            return False
        return True


def last_signals_in(platform: Platform, database: str) -> LastSignals:
    """`database`: sending's own."""
    store = platform.store(database)
    return LastSignals(lambda: store.collection(LAST_SIGNALS.name), platform.now_us)


def _silent(known: Mapping[str, Document], days: int, now_us: int) -> list[Document]:
    # A day's grace, since signs are kept to a day.
    return [document for document in known.values() if now_us - document["at_us"] > (days + 1) * DAY_US]


def _document(id: str, at_us: int, told_us: int) -> Document:
    return {"_id": id, "at_us": at_us, "year": _year(told_us)}


def _year(at_us: int) -> str:
    return str(datetime.fromtimestamp(at_us / 1e6, UTC).year)


def _id(tenant_id: str, address_key: bytes) -> str:
    return f"{tenant_id}/{address_key[:PERSON].hex()}"
