"""Which campaigns a person got, and when: of customers who have a frequency cap, and of nobody else.

From settled outcomes alone: what was refused, bounced or is unknown was no message. A batch that is read again counts once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from postlaw_common.store import Collection, CollectionSpec, Document, Index
from postlaw_common.store.changing import change
from postlaw_sending.frequency.caps import MOST_DAYS
from postlaw_sending.frequency.domain import Cap
from postlaw_sending.returns.days import day_of, forget_old

CONTACTS: Final = CollectionSpec("contacts", (Index("last_on"),))


class Contacts:
    """`collection`: `contacts` of the database `sending`, a document a person."""

    def __init__(self, collection: Callable[[], Collection]) -> None:
        self._open = collection

    async def note(self, tenant_id: str, campaign_id: str, cap: Cap, sent_at_us: Mapping[bytes, int]) -> None:
        """By address key, when each was handed over. Again changes nothing. Raises StoreUnavailable."""
        wanted = {_id(tenant_id, key): at_us for key, at_us in sent_at_us.items()}
        known = await self._open().get_many(list(wanted))
        fresh = [_document(id, {campaign_id: at_us}) for id, at_us in wanted.items() if id not in known]
        overtaken = await self._open().insert_many(fresh) if fresh else set[str]()
        again = [id for id in wanted if id in known or id in overtaken]
        await asyncio.gather(*(self._add(id, campaign_id, cap, wanted[id]) for id in again))

    async def _add(self, id: str, campaign_id: str, cap: Cap, at_us: int) -> None:
        def noted(document: Document | None) -> Document | None:
            if document is None or campaign_id in document["sent"]:
                return None
            kept = {campaign: when for campaign, when in document["sent"].items() if when > cap.since_us(at_us)}
            return _document(id, kept | {campaign_id: at_us})

        await change(self._open(), id, noted)

    async def had_enough(self, tenant_id: str, cap: Cap, address_keys: Sequence[bytes], now_us: int) -> set[bytes]:
        """Who has had as many as the cap allows."""
        by_id = {_id(tenant_id, key): key for key in address_keys}
        since_us = cap.since_us(now_us)
        found = await self._open().get_many(list(by_id))
        return {by_id[id] for id, document in found.items() if _counted(document, since_us) >= cap.messages}

    async def forget(self, now_us: int) -> None:
        """Removes people none of whose messages can count any more. Raises StoreUnavailable."""
        await forget_old(self._open(), "last_on", now_us, MOST_DAYS)


def _counted(document: Document, since_us: int) -> int:
    return sum(at_us > since_us for at_us in document["sent"].values())


def _document(id: str, sent: Mapping[str, int]) -> Document:
    return {"_id": id, "sent": dict(sent), "last_on": day_of(max(sent.values()))}


def _id(tenant_id: str, address_key: bytes) -> str:
    return f"{tenant_id}/{address_key.hex()}"
