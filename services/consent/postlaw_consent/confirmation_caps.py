"""How many confirmation mails an address was sent, over all customers: nobody is flooded by means of other people's forms.

Counted under a keyed hash of the address, a document an address, gone two days after its last mail. Variants of one mailbox (`me+1@`,
capital letters, quotes, a provider's dots and its other domain) count as one.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from typing import Any

from postlaw_common.keys.platform import ADDRESS_CAPS
from postlaw_common.store import Collection, CollectionSpec, Document, Index
from postlaw_common.store.changing import change
from postlaw_consent.by_day import DAY_US, day_of, forget_old

CONFIRMATION_CAPS = CollectionSpec("confirmation_caps", (Index("day"),))

_GMAIL = frozenset({"gmail.com", "googlemail.com"})  # one mailbox under both, with dots or without

Key = Callable[[str], Awaitable[bytes]]


class ConfirmationCaps:
    """`a_day`: mails to one address within 24 hours; `apart_us`: between two of one customer to it."""

    def __init__(self, collection: Callable[[], Collection], key: Key, *, a_day: int, apart_us: int) -> None:
        self._collection = collection
        self._key = key
        self._a_day = a_day
        self._apart_us = apart_us

    async def take(self, address: str, tenant_id: str, sign_up_id: str, now_us: int) -> bool:
        """Whether this sign-up may mail this address; counted when it returns. The same sign-up again gets the same yes."""
        id = hmac.digest(await self._key(ADDRESS_CAPS), _mailbox(address).encode(), hashlib.sha256).hex()

        def counted(document: Document | None) -> Document | None:
            mails = _since(document, now_us - DAY_US)
            known = any(mail["sign_up"] == sign_up_id for mail in mails)
            too_soon = any(mail["tenant"] == tenant_id and mail["at"] > now_us - self._apart_us for mail in mails)
            if known or too_soon or len(mails) >= self._a_day:
                return None
            return {"_id": id, "day": day_of(now_us), "mails": [*mails, {"sign_up": sign_up_id, "tenant": tenant_id, "at": now_us}]}

        _, after = await change(self._collection(), id, counted)
        return any(mail["sign_up"] == sign_up_id for mail in _since(after, now_us - DAY_US))

    async def forget(self, now_us: int) -> None:
        """Drops what no longer counts. Who was mailed again just now stays."""
        await forget_old(self._collection(), now_us)


def _since(document: Document | None, us: int) -> list[Any]:
    return [mail for mail in document["mails"] if mail["at"] > us] if document else []


def _mailbox(address: str) -> str:
    local, _, domain = address.lower().rpartition("@")
    local = local.strip('"').partition("+")[0]
    return f"{local.replace('.', '')}@gmail.com" if domain in _GMAIL else f"{local}@{domain}"
