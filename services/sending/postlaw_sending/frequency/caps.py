"""Customers' frequency caps in the store, one document each; every change is announced in the same write (postlaw_common.outbox)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from postlaw_common.caller import Actor, current
from postlaw_common.errors import FieldError, Invalid
from postlaw_common.events import new_event, partition_of, to_record
from postlaw_common.outbox import OUTBOX_INDEX, Outbox, add_to_outbox
from postlaw_common.store import Collection, CollectionSpec, Document
from postlaw_sending.frequency.domain import Cap
from postlaw_sending.frequency.wire import CAP_CHANGED, CAPS_CHANGED, changed

CAPS: Final = CollectionSpec("frequency_caps", (OUTBOX_INDEX,))
MOST_DAYS: Final = 90
_MOST_MESSAGES: Final = 1_000
_KEPT_S: Final = 5.0  # how long a process may not know of a change


class Caps:
    """`collection`: `frequency_caps` of the database `sending`. `partitions`: the installation's count. `monotonic`: seconds."""

    def __init__(
        self,
        collection: Callable[[], Collection],
        outbox: Outbox,
        partitions: Callable[[], int],
        now_us: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open = collection
        self._outbox = outbox
        self._partitions = partitions
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
        """The caller's own, from now on; what stands so already is not told again. Raises Invalid."""
        _refuse_wrong(messages, days)
        caller = current()

        def capped(document: Document | None) -> Document | None:
            was = _from_document(document)
            cap = Cap(messages, days, was.counted_from_us or self._now_us()) if messages else Cap()
            return None if cap == was else self._announced(document or {"_id": caller.tenant_id}, cap, caller.actor)

        before, after = await self._outbox.change(self._open(), caller.tenant_id, capped)
        if after is not before:
            self._known.pop(caller.tenant_id, None)
        return _from_document(after)

    def _announced(self, before: Document, cap: Cap, actor: Actor) -> Document:
        tenant_id, revision = before["_id"], before.get("revision", 0) + 1
        said = changed(tenant_id, cap, revision, actor)
        event = new_event(CAP_CHANGED, said, source="sending", subject=tenant_id, sequence=revision, tenant_id=tenant_id)
        document = before | {"messages": cap.messages, "days": cap.days, "counted_from_us": cap.counted_from_us, "revision": revision}
        return add_to_outbox(document, [to_record(event, CAPS_CHANGED, partition_of(tenant_id, self._partitions()))])


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
