"""Messages on their way to webhooks: durable once the event that they tell of is read, one after another about each person.

A message that is not taken is tried again for three days; it holds up those after it about the same person, and nobody else's. Then its
webhook is disabled, and told of nothing that happens from then on; what waits for it stays until somebody has it delivered again, or
deletes the webhook.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final, Literal

from postlaw_common.bus import Received
from postlaw_common.consumers import OUTAGES, Consumer
from postlaw_common.crypto import SealBroken
from postlaw_common.errors import Conflict
from postlaw_common.store import Collection, CollectionSpec, Document, Index, VersionConflict
from postlaw_common.store.bulk import bulk_delete
from postlaw_common.telemetry import get_logger
from postlaw_sending.webhooks.endpoints import Webhook, Webhooks
from postlaw_sending.webhooks.messages import TOPICS, Message, message_of

DELIVERIES = CollectionSpec("webhook_deliveries", (Index("waits"), Index("webhook_id")))
BACK_OFF_S: Final = (5, 30, 120, 600, 1800, 3600, 7200, 14_400)  # then the last again and again
GIVES_UP_US: Final = 3 * 86_400 * 1_000_000
KNOWN_S: Final = 5.0  # a new webhook is told of what happens from then on
LOOK_EVERY_S: Final = 1.0
LONGEST_REST_S: Final = 60.0
TOGETHER: Final = 8  # of one webhook: a slow one keeps no other waiting
HELD_US: Final = 30_000_000  # by the process that sends it; longer than an attempt takes

Answer = Literal["taken", "gone", "not-taken"]
Post = Callable[[Webhook, str, bytes], Awaitable[Answer]]

_log = get_logger("sending.webhooks")


class Deliveries:
    """`collection`: `webhook_deliveries` of the database `sending`. `post` sends one message, and never raises but for outages of ours."""

    def __init__(
        self,
        collection: Callable[[], Collection],
        webhooks: Webhooks,
        post: Post,
        now_us: Callable[[], int],
        monotonic: Callable[[], float],
    ) -> None:
        self._open = collection
        self._webhooks = webhooks
        self._post = post
        self._now_us = now_us
        self._monotonic = monotonic
        self._known: dict[str, tuple[float, Sequence[Webhook]]] = {}
        self._arrived = asyncio.Event()
        self._under_way: dict[str, str] = {}  # webhook, by lane

    def consumer(self) -> Consumer:
        async def apply(records: list[Received]) -> None:
            documents: list[Document] = []
            for record in records:
                webhooks = await self._of(record.headers.get("ce_tenant", b"").decode())
                message = message_of(record) if webhooks else None
                if message is not None:
                    documents += [_document(webhook, message) for webhook in webhooks if not webhook.disabled_because]
            if documents:
                await self._open().insert_many(documents)
                self._arrived.set()

        return Consumer(group="sending-webhooks", topics=TOPICS, handler=apply)

    async def _of(self, tenant_id: str) -> Sequence[Webhook]:
        """Most customers have none, and an import makes events by the thousand."""
        known = self._known.get(tenant_id)
        if known is None or self._monotonic() - known[0] > KNOWN_S:
            if len(self._known) > 10_000:
                self._known.clear()
            known = self._known[tenant_id] = self._monotonic(), await self._webhooks.of_tenant(tenant_id)
        return known[1]

    def forget(self, tenant_id: str) -> None:
        """A webhook of theirs was made, changed or deleted in this process."""
        self._known.pop(tenant_id, None)
        self._arrived.set()

    async def run(self) -> None:
        """A background."""
        async with asyncio.TaskGroup() as tries:
            while True:
                self._arrived.clear()
                began = self._monotonic()
                try:
                    for lane, document in await self._heads():
                        self._under_way[lane] = document["webhook_id"]
                        tries.create_task(self._try(lane, document))
                except OUTAGES as away:
                    _log.warning("webhooks wait", failure=type(away).__name__)
                # Where very much waits, looking takes long: it is done a fifth of the time at most.
                await asyncio.sleep(min(LONGEST_REST_S, 4 * (self._monotonic() - began)))
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_EVERY_S):
                        await self._arrived.wait()

    async def _heads(self) -> list[tuple[str, Document]]:
        """Of each webhook and person the first message, where it is due and nothing keeps it."""
        heads: list[tuple[str, Document]] = []
        busy = Counter(self._under_way.values())
        seen: set[str] = set(self._under_way)
        async for page in self._open().scan("waits", "yes"):
            for document in page:
                lane = document["_id"].rpartition("/")[0]
                if lane in seen:
                    continue
                seen.add(lane)
                if document["due_us"] <= self._now_us() and busy[document["webhook_id"]] < TOGETHER:
                    busy[document["webhook_id"]] += 1
                    heads.append((lane, document))
        return heads

    async def _try(self, lane: str, document: Document) -> None:
        done = False
        try:
            done = await self._one(document)
        except OUTAGES as away:
            _log.warning("a webhook's message waits", failure=type(away).__name__)
        except Exception as failed:  # it waits on, and holds nobody up
            _log.alert("a webhook's message cannot be sent", failure=type(failed).__name__)
        finally:
            del self._under_way[lane]
            if done:
                self._arrived.set()  # the next of them may be due

    async def _one(self, document: Document) -> bool:
        """Whether it is out of the way."""
        now_us = self._now_us()
        webhook = await self._webhooks.find(document["webhook_id"])
        if webhook is None:
            return await self._open().delete(document["_id"])
        if webhook.disabled_because:
            return await self._put_by(document)
        try:
            held = await self._open().replace(document | {"due_us": now_us + HELD_US}, version=document["v"])
        except VersionConflict:
            return False  # another process has it
        try:
            answer = await self._post(webhook, document["event_id"], bytes(document["body"]))
        except SealBroken:
            _log.alert("a webhook's secret does not open", webhook=webhook.id)
            return False
        if answer == "taken":
            return await self._open().delete(document["_id"])
        if answer == "gone" or now_us - document["at_us"] > GIVES_UP_US:
            await self._disable(webhook, "It answered 410 Gone." if answer == "gone" else "A message was not taken for three days.")
        wait_s = BACK_OFF_S[min(document["tries"], len(BACK_OFF_S) - 1)]
        with suppress(VersionConflict):
            await self._open().replace(held | {"due_us": now_us + wait_s * 1_000_000, "tries": document["tries"] + 1}, version=held["v"])
        return False

    async def _put_by(self, document: Document) -> bool:
        """Until it is delivered again."""
        try:
            await self._open().replace(document | {"waits": None}, version=document["v"])
        except VersionConflict:
            return False
        return True

    async def _disable(self, webhook: Webhook, because: str) -> None:
        _log.alert("a webhook is disabled", webhook=webhook.id, because=because)
        with suppress(Conflict):
            await self._webhooks.able(webhook, because)
        self.forget(webhook.tenant_id)

    async def waiting(self, webhook_id: str) -> int:
        return await self._open().count("webhook_id", webhook_id)

    async def again(self, webhook: Webhook) -> None:
        """All that waits is due now, and is given three days anew."""
        now_us = self._now_us()
        async for page in self._open().scan("webhook_id", webhook.id):
            for document in page:
                with suppress(VersionConflict):
                    await self._open().replace(
                        document | {"waits": "yes", "due_us": now_us, "at_us": now_us, "tries": 0}, version=document["v"]
                    )
        self.forget(webhook.tenant_id)

    async def drop(self, webhook_id: str) -> None:
        await bulk_delete(self._open(), "webhook_id", webhook_id)


def _document(webhook: Webhook, message: Message) -> Document:
    """Its `_id` sorts by webhook, by whom it is about, and by time; a record that is read again makes no second one."""
    lane = hashlib.sha256(message.about.encode()).hexdigest()[:16]
    return {
        "_id": f"{webhook.id}/{lane}/{message.at_us:017d}-{message.event_id}",
        "webhook_id": webhook.id,
        "event_id": message.event_id,
        "waits": "yes",
        "due_us": 0,
        "at_us": message.at_us,
        "tries": 0,
        "body": message.body,
    }
