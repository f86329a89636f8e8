"""What waits for webhooks is sent once it is due, in order for each person, whoever sends it and however much else waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from postlaw.consent.v1 import consent_pb2 as consent
from postlaw_common.bus import Received
from postlaw_common.events import new_event, to_record
from postlaw_common.store import Store, open_store
from postlaw_common.testing.patience import patience
from postlaw_common.testing.promises import promise
from postlaw_sending.stop.wire import CONSENT_EVENTS
from postlaw_sending.webhooks.deliveries import DELIVERIES, HELD_US, Answer, Deliveries
from postlaw_sending.webhooks.domain import Webhook
from postlaw_sending.webhooks.turns import PIECE, TURNS, Turns

E = consent.ConsentEvent


class Known:
    """Webhooks, one a customer."""

    def __init__(self) -> None:
        self.disabled: set[str] = set()

    def of(self, id: str) -> Webhook:
        return Webhook(id, id.replace("whk", "ten"), "https://shop.example", 0, disabled_because="x" if id in self.disabled else "")

    async def of_tenant(self, tenant_id: str) -> list[Webhook]:
        return [self.of(tenant_id.replace("ten", "whk"))]

    async def find(self, id: str) -> Webhook | None:
        return self.of(id)


class Sent:
    """`refusing`: webhooks that take nothing. Fails where two messages about one person are under way together."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.refusing: set[str] = set()
        self.lost = False
        self._under_way: set[str] = set()

    async def __call__(self, webhook: Webhook, event_id: str, body: bytes) -> Answer:
        if self.lost:
            await asyncio.Event().wait()
        lane = webhook.id + body.decode().split('"address_key":"')[1][:8]
        assert lane not in self._under_way
        self._under_way.add(lane)
        await asyncio.sleep(0.001)
        self._under_way.remove(lane)
        if webhook.id in self.refusing:
            return "not-taken"
        self.taken.append(event_id)
        return "taken"


class Counting:
    """A collection that says how many documents were read of it."""

    def __init__(self, collection: Any) -> None:
        self._collection = collection
        self.read = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._collection, name)

    async def find(self, *asked: Any, **more: Any) -> Any:
        found = await self._collection.find(*asked, **more)
        self.read += len(found)
        return found


@asynccontextmanager
async def opened(tmp_path: Path) -> AsyncGenerator[Store]:
    store = open_store("sqlite:", "sending", state=str(tmp_path))
    await store.start([DELIVERIES, TURNS])
    yield store
    await store.close()


def deliveries(store: Store, known: Known, sent: Sent, now_us: Callable[[], int], turns: Turns | None = None) -> Deliveries:
    turns = turns or Turns(lambda: store.collection(TURNS.name))
    return Deliveries(lambda: store.collection(DELIVERIES.name), turns, cast("Any", known), sent, now_us, lambda: now_us() / 1e6)


def said_no(customer: int, person: int, at_us: int) -> Received:
    said = E(address_key=person.to_bytes(4, "big"), kind=E.KIND_WITHDRAWN, scope=consent.Scope(everything=True))
    tenant_id = f"ten_{customer}"
    event = new_event(
        "postlaw.consent.ConsentEvent", said.SerializeToString(), source="consent", subject="x", sequence=0, tenant_id=tenant_id,
        event_id=f"evt_{customer}_{person}_{at_us}", time_us=at_us,
    )  # fmt: skip
    record = to_record(event, CONSENT_EVENTS, 0)
    return Received(record.topic, 0, 0, record.value, record.key, record.headers, at_us)


async def until(done: Callable[[], bool]) -> None:
    async with patience():
        while not done():
            await asyncio.sleep(0.005)


async def test_a_look_reads_a_piece_of_what_waits_for_a_webhook_and_no_more(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        known, sent = Known(), Sent()
        read = Counting(store.collection(TURNS.name))
        turns = Turns(lambda: cast("Any", read))
        out = deliveries(store, known, sent, lambda: 1_000_000, turns)
        await out.consumer().handler([said_no(1, person, at_us=900 + person) for person in range(2000)])
        await out.consumer().handler([said_no(2, 7, at_us=5_000)])
        due = await turns.due(1_000_000, {})
        assert [turn.webhook_id for turn in due] == ["whk_1"] * 8 + ["whk_2"]
        assert read.read <= 2 * PIECE
        read.read = 0
        assert not await turns.due(800, {}), "nothing is due"
        assert read.read <= 2 * PIECE


@promise("X7")
async def test_two_processes_send_each_persons_in_order_once_and_past_a_webhook_that_takes_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        known, sent = Known(), Sent()
        sent.refusing = {"whk_2"}
        ahead_us = 0

        def now_us() -> int:
            return 1_790_000_000_000_000 + ahead_us

        records = [said_no(customer, person, at_us) for customer in (1, 2) for person in range(20) for at_us in (1, 2, 3)]
        processes = [deliveries(store, known, sent, now_us) for _ in range(2)]
        for one in processes:
            await one.consumer().handler(records)  # both read them, as after a crash
        running = [asyncio.create_task(one.run()) for one in processes]
        await until(lambda: len(sent.taken) >= 60)
        for person in range(20):
            assert [id for id in sent.taken if id.startswith(f"evt_1_{person}_")] == [f"evt_1_{person}_{at_us}" for at_us in (1, 2, 3)]
        sent.refusing = set()
        ahead_us = HELD_US  # longer than the first back-off
        await until(lambda: len(sent.taken) >= 120)
        assert len(set(sent.taken)) == 120 == len(sent.taken)
        for one in running:
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)


@promise("X7")
async def test_what_a_lost_process_was_sending_goes_after_its_time(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        known, sent, lost = Known(), Sent(), Sent()
        lost.lost = True
        now = 1_790_000_000_000_000
        dying = deliveries(store, known, lost, lambda: now)
        running = asyncio.create_task(dying.run())
        await dying.consumer().handler([said_no(1, 1, at_us) for at_us in (1, 2)])

        async def first() -> int:
            return min([document["due_us"] async for page in store.collection(DELIVERIES.name).scan() for document in page][:1])

        async with patience():
            while not await first():
                await asyncio.sleep(0.005)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        other = asyncio.create_task(deliveries(store, known, sent, lambda: now).run())
        await asyncio.sleep(0.1)
        assert not sent.taken, "another process may have it"
        now += HELD_US + 1
        await until(lambda: sent.taken == ["evt_1_1_1", "evt_1_1_2"])
        await asyncio.sleep(0)
        other.cancel()
        await asyncio.gather(other, return_exceptions=True)


async def test_a_disabled_webhook_is_looked_at_no_more_until_it_is_asked_for_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        known, sent = Known(), Sent()
        out = deliveries(store, known, sent, lambda: 1_790_000_000_000_000)
        await out.consumer().handler([said_no(1, person, at_us) for person in range(3) for at_us in (1, 2)])
        known.disabled.add("whk_1")
        running = asyncio.create_task(out.run())
        async with patience():
            while await store.collection(TURNS.name).count():
                await asyncio.sleep(0.005)
        assert (await out.waiting("whk_1"), sent.taken) == (6, [])
        known.disabled.clear()
        await out.again(known.of("whk_1"))
        await until(lambda: len(sent.taken) == 6)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
