"""Where mail goes by route: who waits for which destination, and the lanes that serve it.

A lane first has its connection and then claims, so that nobody stands under a claim while a server is looked for. Whoever waits too
long is put off, out of their batch: a destination that is slow, or away, holds up nobody else (design §4).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from postlaw_sending.stop.holding import DEFERRED
from postlaw_sending.worker.lane import Connection, Lane
from postlaw_sending.worker.live_batch import CLAIM_SIZE, LiveBatch
from postlaw_sending.worker.partition import HeldPartition
from postlaw_sending.worker.routes import Exchange, Route, RoutedConnection, Unreachable

PATIENCE_S = 10.0
LOOK_EVERY_S = 1.0
BUSY = "destination_busy"


class _ConnectionEnded(Exception):
    pass


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Those of a batch that wait on one route. `since`: monotonic seconds."""

    partition: HeldPartition
    batch: LiveBatch
    since: float


@dataclass(slots=True)
class _Queue:
    route: Route
    waiting: deque[_Waiting] = field(default_factory=deque[_Waiting])
    lanes: int = 0

    def first(self) -> _Waiting | None:
        """Whoever is to be claimed next."""
        while self.waiting:
            if self.waiting[0].batch.queues.get(self.route):
                return self.waiting[0]
            self.waiting.popleft()
        return None

    def size(self) -> int:
        return sum(len(entry.batch.queues.get(self.route, ())) for entry in self.waiting)

    def settle(self, state: int, reason: str, before: float) -> None:
        """Everyone who has waited since `before`, without a claim: nothing of them was begun."""
        while (entry := self.first()) is not None and entry.since <= before:
            self.waiting.popleft()
            entry.partition.settle_unclaimed(entry.batch, self.route, state, reason)


class Destinations:
    """`lane` makes a lane of a source of connections; `start` runs a background."""

    def __init__(
        self,
        exchange: Exchange,
        lane: Callable[[Callable[[], Awaitable[Connection]]], Lane],
        start: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self.lanes: set[Lane] = set()
        self._exchange = exchange
        self._lane = lane
        self._start = start
        self._queues: dict[Route, _Queue] = {}

    def arrived(self, partition: HeldPartition, batch: LiveBatch) -> None:
        """There is a batch whose people wait."""
        entry = _Waiting(partition, batch, time.monotonic())
        for route, pending in batch.queues.items():
            if pending:
                queue = self._queues.setdefault(route, _Queue(route))
                queue.waiting.append(entry)
                self._attend(queue)

    async def look_after(self) -> None:
        """Background: puts off whoever has waited too long."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            before = time.monotonic() - PATIENCE_S
            for queue in list(self._queues.values()):
                queue.settle(DEFERRED, BUSY, before)

    def _attend(self, queue: _Queue) -> None:
        """One lane, and another for each claim that would wait; how many of them get a connection is the exchange's to say."""
        while queue.lanes == 0 or queue.lanes < min(self._exchange.most(queue.route), queue.size() // CLAIM_SIZE):
            queue.lanes += 1
            self._start(self._serve(queue))

    async def _serve(self, queue: _Queue) -> None:
        try:
            while queue.first() is not None:
                try:
                    async with self._exchange.connection(queue.route) as connection:
                        await self._use(queue, connection)
                except Unreachable as why:
                    queue.settle(why.state, why.reason, time.monotonic())
        finally:
            queue.lanes -= 1
            if not queue.lanes and self._queues.get(queue.route) is queue:
                del self._queues[queue.route]

    async def _use(self, queue: _Queue, connection: RoutedConnection) -> None:
        """Until nobody waits, or the connection has ended. Nothing is under way on it then."""

        async def current() -> RoutedConnection:
            if not connection.alive:
                raise _ConnectionEnded
            return connection

        lane = self._lane(current)
        self.lanes.add(lane)
        try:
            while connection.alive:
                entry = queue.first()
                if entry is None:
                    await connection.settled()
                    if queue.first() is None:
                        return
                else:
                    await self._hand_over_claim(queue, entry, lane)
        finally:
            self.lanes.discard(lane)

    async def _hand_over_claim(self, queue: _Queue, entry: _Waiting, lane: Lane) -> None:
        partition = entry.partition
        claim = await partition.claim_of(entry.batch, queue.route, CLAIM_SIZE)
        if claim is None:  # the partition is another's, or about to be
            if entry in queue.waiting:
                queue.waiting.remove(entry)
            return
        try:
            await lane.hand_over(partition, claim)
        except _ConnectionEnded:
            return
        finally:
            if claim.todo:
                partition.give_back(claim)
                queue.waiting.appendleft(entry)
