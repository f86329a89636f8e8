"""A customer's frequency cap: so many marketing messages to one person within so many days. One document a customer."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from postlaw_common.caller import current
from postlaw_common.errors import FieldError, Invalid
from postlaw_common.store import AlreadyExists, Collection, CollectionSpec, Document, VersionConflict

CAPS: Final = CollectionSpec("frequency_caps")
MOST_DAYS: Final = 90
_MOST_MESSAGES: Final = 1_000
_KEPT_S: Final = 5.0  # how long a process may not know of a change
_DAY_US: Final = 24 * 3600 * 1_000_000


@dataclass(frozen=True, slots=True)
class Cap:
    """`messages` 0: there is none. `counted_from_us`: since when there has been one; what was sent before is not known."""

    messages: int = 0
    days: int = 0
    counted_from_us: int = 0

    def since_us(self, now_us: int) -> int:
        """What was sent after this counts."""
        return now_us - self.days * _DAY_US


class Caps:
    """`collection`: `frequency_caps` of the database `sending`. `monotonic`: seconds."""

    def __init__(
        self, collection: Callable[[], Collection], now_us: Callable[[], int], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._open = collection
        self._now_us = now_us
        self._monotonic = monotonic
        self._known: dict[str, tuple[float, Cap]] = {}

    async def of(self, tenant_id: str) -> Cap:
        """As it was a few seconds ago at most."""
        known = self._known.get(tenant_id)
        if known is None or self._monotonic() - known[0] >= _KEPT_S:
            known = self._known[tenant_id] = (self._monotonic(), _from_document(await self._open().get(tenant_id)))
        return known[1]

    async def get(self) -> Cap:
        """The caller's own."""
        return _from_document(await self._open().get(current().tenant_id))

    async def set(self, messages: int, days: int) -> Cap:
        """The caller's own, from now on. Raises Invalid."""
        _refuse_wrong(messages, days)
        tenant_id = current().tenant_id
        while True:
            before = await self._open().get(tenant_id, linearizable=True)
            since_us = _from_document(before).counted_from_us
            cap = Cap(messages, days, since_us or self._now_us()) if messages else Cap()
            document: Document = {"_id": tenant_id, "messages": cap.messages, "days": cap.days, "counted_from_us": cap.counted_from_us}
            try:
                if before is None:
                    await self._open().insert(document)
                else:
                    await self._open().replace(document, version=before["v"])
            except (AlreadyExists, VersionConflict):
                continue
            self._known.pop(tenant_id, None)
            return cap


def _refuse_wrong(messages: int, days: int) -> None:
    wrong: list[FieldError] = []
    if not 0 <= messages <= _MOST_MESSAGES:
        wrong.append(FieldError("messages", f"give up to {_MOST_MESSAGES:,}, or 0 for no cap"))
    if messages and not 1 <= days <= MOST_DAYS:
        wrong.append(FieldError("days", f"give 1 to {MOST_DAYS}"))
    if wrong:
        raise Invalid("That is no frequency cap.", fields=wrong)


def _from_document(document: Document | None) -> Cap:
    return Cap(document["messages"], document["days"], document["counted_from_us"]) if document else Cap()
