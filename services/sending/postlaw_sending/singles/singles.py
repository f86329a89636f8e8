"""Single messages as documents: `_id` = tenant / idempotency key. The document is the outbox: what it calls due is published, by
whoever wrote it or by the sweep after a crash.

What is sealed, and its key, are gone from the document once the message has come to its end: a late copy of a batch then opens nowhere.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

from postlaw_common.bus import Bus, BusUnavailable, Record
from postlaw_common.crypto import open_sealed, seal
from postlaw_common.keys import KeysUnavailable
from postlaw_common.keys.customer import CustomerKeys
from postlaw_common.store import AlreadyExists, Collection, CollectionSpec, Document, Index, StoreUnavailable, VersionConflict
from postlaw_common.telemetry import get_logger
from postlaw_sending.campaigns.domain.recipients import Outcome, Settled, State, next_attempt
from postlaw_sending.campaigns.keys import CampaignKeyDestroyed
from postlaw_sending.campaigns.sealing import place
from postlaw_sending.singles.domain import LIFE_US, PUBLISHED_WITHIN_US, Handed, SentSingle, attempt_id, is_attempt, made_at_us
from postlaw_sending.singles.wire import sealed_batch
from postlaw_sending.stop.wire import SINGLES

MESSAGES = CollectionSpec("single_messages", (Index("open"), Index("attempt_id"), Index("message_id")), packed=True)

_OPEN = "1"
_KEPT = ("_id", "tenant", "message_id", "address_key", "brand", "partition", "made_us", "attempt", "attempt_id", "v")
_PURPOSE = "message"
_SWEEP_EVERY_S = 1.0
log = get_logger("sending.singles")


class Singles:
    """`collection`: `single_messages` of the database `sending`. `keys`: of customers; each message has one of its own under theirs."""

    def __init__(self, collection: Callable[[], Collection], keys: CustomerKeys, bus: Bus, now_us: Callable[[], int]) -> None:
        self._open = collection
        self._keys = keys
        self._bus = bus
        self._now_us = now_us

    async def find(self, tenant_id: str, key: str) -> str | None:
        """The id of the message that was asked for under this key."""
        document = await self._open().get(f"{tenant_id}/{key}")
        return document["message_id"] if document else None

    async def sent(self, id: str) -> SentSingle | None:
        """By its id, or by its latest attempt's. None for one that never was."""
        found = await self._open().find("attempt_id" if is_attempt(id) else "message_id", id, limit=1)
        if not found:
            return None
        [document] = found  # without a key where it was sent before keys were kept
        return SentSingle(document["tenant"], document["message_id"], document.get("brand", ""), document.get("address_key", b""))

    async def send(self, sent: SentSingle, key: str, partition: int, envelope: bytes, job: bytes) -> str:
        """Durable when it returns, and on the log unless the bus is away. The id of the message, or of the one that this key asked for
        before. `job`: a SingleJob; `envelope`: its SealedBatch, but for what differs by attempt."""
        tenant_id, message_id = sent.tenant_id, sent.message_id
        version, wrapping = await self._keys.get(tenant_id, _PURPOSE)
        own = os.urandom(32)
        document: Document = {
            "_id": f"{tenant_id}/{key}",
            "open": _OPEN,
            "tenant": tenant_id,
            "message_id": message_id,
            "address_key": sent.address_key,
            "brand": sent.brand,
            "partition": partition,
            "state": "due",
            "attempt": 0,
            "attempt_id": attempt_id(),
            "due_us": self._now_us(),
            "made_us": self._now_us(),
            "envelope": envelope,
            "key_version": version,
            "wrapped": seal(wrapping, own, _key_place(message_id)),
            "job": seal(own, job, _job_place(message_id)),
        }
        try:
            await self._open().insert(document)
        except AlreadyExists:
            return await self.find(tenant_id, key) or message_id
        await self._publish(document | {"v": 1})
        return message_id

    async def opened(self, tenant_id: str, attempt: str) -> bytes:
        """The key of the message whose open attempt this is. Raises CampaignKeyDestroyed for any other,
        StoreUnavailable, KeysUnavailable."""
        document = await self._of(attempt)
        if document is None or document["tenant"] != tenant_id or document.get("wrapped") is None:
            raise CampaignKeyDestroyed(f"the message of attempt {attempt} has come to its end, or never was")
        return await self._key(document)

    async def handed(self) -> AsyncGenerator[list[Handed]]:
        """All of them, in pages. To be closed by whoever leaves off."""
        async with aclosing(self._open().scan()) as pages:
            async for page in pages:
                yield [_handed(document) for document in page if document.get("address_key")]

    async def settle(self, settled: Settled) -> None:
        """What became of an attempt. A repeat changes nothing."""
        document = await self._of(settled.campaign_id)
        if document is None or document.get("open") is None:
            return
        [outcome] = settled.outcomes()
        after_s, attempt = next_attempt(outcome.reason, settled.attempt)
        if outcome.state is State.DEFERRED and after_s:
            due_us = self._now_us() + after_s * 1_000_000
            changed = document | {"state": "due", "attempt": attempt, "attempt_id": None, "due_us": due_us}
        else:
            changed = _ended(document, outcome)
        try:
            await self._open().replace(changed, version=document["v"])
        except VersionConflict:
            await self.settle(settled)  # the sweep had noted meanwhile that it was published

    async def run(self) -> None:
        """A background: publishes what is due, and ends what nobody answers for."""
        while True:
            try:
                await self.sweep()
            except (BusUnavailable, StoreUnavailable, KeysUnavailable) as away:
                log.warning("single messages wait", failure=type(away).__name__)
            await asyncio.sleep(_SWEEP_EVERY_S)

    async def sweep(self) -> None:
        """One pass over all that are open."""
        async for page in self._open().scan("open", _OPEN):
            for document in page:
                await self._look_at(document)

    async def _look_at(self, document: Document) -> None:
        now = self._now_us()
        attempt = document.get("attempt_id")
        try:
            if document["state"] == "due" and document["due_us"] <= now:
                if attempt is None:
                    await self._publish(await self._open().replace(document | {"attempt_id": attempt_id()}, version=document["v"]))
                elif now - made_at_us(attempt) < PUBLISHED_WITHIN_US:
                    await self._publish(document)
                else:  # a worker may have forgotten that it took it: it is not published again
                    await self._end_unheard(document)
            elif now - document["made_us"] > LIFE_US:
                await self._end_unheard(document)
        except VersionConflict:
            return  # somebody else is at it

    async def _end_unheard(self, document: Document) -> None:
        log.alert("a single message came to no end in its time", message=document["message_id"])
        await self._open().replace(_ended(document, None), version=document["v"])

    async def _publish(self, document: Document) -> None:
        """Perhaps twice, with the same id: the first copy counts."""
        job = open_sealed(await self._key(document), document["job"], _job_place(document["message_id"]))
        where = place(document["attempt_id"], document["partition"], 0, document["attempt"])
        sealed = seal(await self._key(document), job, where)
        value = sealed_batch(document["envelope"], document["attempt_id"], document["attempt"], sealed)
        try:
            await self._bus.publish([Record(SINGLES, document["partition"], value, document["attempt_id"].encode())])
            await self._open().replace(document | {"state": "published"}, version=document["v"])
        except VersionConflict:
            return  # its outcome was here first
        except (BusUnavailable, StoreUnavailable) as away:
            log.warning("a single message waits for the sweep", message=document["message_id"], failure=type(away).__name__)

    async def _of(self, attempt: str) -> Document | None:
        found = await self._open().find("attempt_id", attempt, limit=1)
        return await self._open().get(found[0]["_id"], linearizable=True) if found else None

    async def _key(self, document: Document) -> bytes:
        _, wrapping = await self._keys.get(document["tenant"], _PURPOSE, document["key_version"])
        return open_sealed(wrapping, document["wrapped"], _key_place(document["message_id"]))


def _ended(document: Document, outcome: Outcome | None) -> dict[str, Any]:
    """Only that there was a message, and what became of it."""
    kept = {name: document[name] for name in _KEPT if name in document}
    state, reason = (outcome.state.name.lower(), outcome.reason) if outcome else ("expired", "unheard")
    if state == "deferred":
        state = "expired"
    return kept | {"state": state, "reason": reason, "handed_us": outcome.handed_over_at_us if outcome else 0}


def _handed(document: Document) -> Handed:
    state = None if document.get("open") is not None else State[document["state"].upper()]
    id, attempt = document["message_id"], document.get("attempt_id") or ""
    return Handed(document["tenant"], id, attempt, document["address_key"], state, document.get("handed_us", 0))


def _key_place(message_id: str) -> bytes:
    return f"single-message-key/{message_id}".encode()


def _job_place(message_id: str) -> bytes:
    return f"single-message/{message_id}".encode()
