"""Messages on their way to webhooks: durable once the event that they tell of is read, one after another about each person.

A message that is not taken is tried again for three days; it holds up those after it about the same person, and nobody else's. Then its
webhook is disabled, and told of nothing that happens from then on; what waits for it stays until somebody has it delivered again, or
deletes the webhook.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from typing import Final, Literal

from postlaw_common.bus import Received
from postlaw_common.consumers import OUTAGES, Consumer
from postlaw_common.crypto import SealBroken
from postlaw_common.errors import NotFound
from postlaw_common.store import Collection, CollectionSpec, Document, Index, VersionConflict
from postlaw_common.store.bulk import bulk_delete
from postlaw_common.telemetry import get_logger
from postlaw_sending.webhooks.domain import Webhook
from postlaw_sending.webhooks.endpoints import Webhooks
from postlaw_sending.webhooks.messages import TOPICS, Message, message_of
from postlaw_sending.webhooks.turns import Turn, Turns

DELIVERIES = CollectionSpec("webhook_deliveries", (Index("webhook_id"),), range_parts=2)
BACK_OFF_S: Final = (5, 30, 120, 600, 1800, 3600, 7200, 14_400)  # then the last again and again
GIVES_UP_US: Final = 3 * 86_400 * 1_000_000
KNOWN_S: Final = 5.0  # a new webhook is told of what happens from then on
LOOK_EVERY_S: Final = 1.0
LONGEST_REST_S: Final = 60.0
HELD_US: Final = 30_000_000  # by the process that sends it; longer than an attempt takes

Answer = Literal["taken", "gone", "not-taken"]
Post = Callable[[Webhook, str, bytes], Awaitable[Answer]]

_log = get_logger("sending.webhooks")


class Deliveries:
    """`collection`: `webhook_deliveries` of the database `sending`. `turns` say when to look at whose. `post` sends one message, and never
    raises but for outages of ours."""

    def __init__(
        self,
        collection: Callable[[], Collection],
        turns: Turns,
        webhooks: Webhooks,
        post: Post,
        now_us: Callable[[], int],
        monotonic: Callable[[], float],
    ) -> None:
        self._open = collection
        self._turns = turns
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
                    documents += [_document(webhook, message) for webhook in webhooks if webhook.wants(message.type)]
            if documents:
                await self._open().insert_many(documents)
                await self._turns.put([_turn(document, document["at_us"]) for document in documents])
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
                    for turn in await self._turns.due(self._now_us(), self._under_way):
                        self._under_way[turn.lane] = turn.webhook_id
                        tries.create_task(self._try(turn))
                except OUTAGES as away:
                    _log.warning("webhooks wait", failure=type(away).__name__)
                # Where much waits for very many webhooks, looking takes long: it is done a fifth of the time at most.
                await asyncio.sleep(min(LONGEST_REST_S, 4 * (self._monotonic() - began)))
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_EVERY_S):
                        await self._arrived.wait()

    async def _try(self, turn: Turn) -> None:
        after: Turn | None = turn
        try:
            after = await self._one(turn)
            await self._turns.follow(turn, after)
        except OUTAGES as away:
            _log.warning("a webhook's message waits", failure=type(away).__name__)
        except Exception as failed:  # it waits on, and holds nobody up
            _log.alert("a webhook's message cannot be sent", failure=type(failed).__name__)
        finally:
            del self._under_way[turn.lane]
            if after != turn:
                self._arrived.set()  # another may have its turn

    async def _one(self, turn: Turn) -> Turn | None:
        """The turn of what is then the first of them, None where nothing is, or nothing is to be sent."""
        now_us = self._now_us()
        first = await self._first(turn.lane)
        if first is None:
            return None
        webhook = await self._webhooks.find(turn.webhook_id)
        if webhook is None:
            await self._open().delete(first["_id"])
            return _turn(first, now_us)
        if webhook.disabled_because:
            return None  # until it is delivered again
        if first["due_us"] > now_us:
            return _turn(first, first["due_us"])
        try:
            held = await self._open().replace(
                first | {"due_us": now_us + HELD_US, "since_us": first["since_us"] or now_us}, version=first["v"]
            )
        except VersionConflict:
            return _turn(first, now_us + HELD_US)  # another process has it
        try:
            answer = await self._post(webhook, first["event_id"], bytes(first["body"]))
        except SealBroken:
            _log.alert("a webhook's secret does not open", webhook=webhook.id)
            return _turn(held, held["due_us"])
        if answer == "taken":
            await self._open().delete(first["_id"])
            following = await self._first(turn.lane)
            return _turn(following, max(now_us, following["due_us"])) if following else None
        if answer == "gone" or now_us - held["since_us"] > GIVES_UP_US:
            await self._disable(webhook, "It answered 410 Gone." if answer == "gone" else "A message was not taken for three days.")
        due_us = now_us + BACK_OFF_S[min(first["tries"], len(BACK_OFF_S) - 1)] * 1_000_000
        with suppress(VersionConflict):
            await self._open().replace(held | {"due_us": due_us, "tries": first["tries"] + 1}, version=held["v"])
        return _turn(held, due_us)

    async def _first(self, lane: str) -> Document | None:
        async with aclosing(self._open().under(f"{lane}/", size=1)) as pages:
            async for page in pages:
                return page[0]
        return None

    async def _disable(self, webhook: Webhook, because: str) -> None:
        _log.alert("a webhook is disabled", webhook=webhook.id, because=because)
        with suppress(NotFound):
            await self._webhooks.disable(webhook.id, webhook.tenant_id, because)
        self.forget(webhook.tenant_id)

    async def waiting(self, webhook_id: str) -> int:
        return await self._open().count("webhook_id", webhook_id)

    async def again(self, webhook: Webhook) -> None:
        """All that waits is due now, and is given three days anew."""
        now_us = self._now_us()
        async for page in self._open().scan("webhook_id", webhook.id):
            for document in page:
                if document["due_us"]:
                    with suppress(VersionConflict):
                        await self._open().replace(document | {"due_us": 0, "since_us": 0, "tries": 0}, version=document["v"])
            first_of = {_lane(document): document for document in reversed(page)}
            await self._turns.put([_turn(document, now_us) for document in first_of.values()])
        self.forget(webhook.tenant_id)

    async def drop(self, webhook_id: str) -> None:
        await bulk_delete(self._open(), "webhook_id", webhook_id)


def _document(webhook: Webhook, message: Message) -> Document:
    """Its `_id` sorts by webhook, by whom it is about, and by time; a record that is read again makes no second one. `since_us`: when it
    was first tried, 0 before."""
    lane = hashlib.sha256(message.about.encode()).hexdigest()[:16]
    return {
        "_id": f"{webhook.id}/{lane}/{message.at_us:017d}-{message.event_id}",
        "webhook_id": webhook.id,
        "event_id": message.event_id,
        "due_us": 0,
        "at_us": message.at_us,
        "since_us": 0,
        "tries": 0,
        "body": message.body,
    }


def _lane(document: Document) -> str:
    return document["_id"].rpartition("/")[0]


def _turn(document: Document, due_us: int) -> Turn:
    return Turn(_lane(document), due_us, document["event_id"])
