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

from postlaw_sending.campaigns.domain.recipients import BUSY_S
from postlaw_sending.stop.holding import DEFERRED
from postlaw_sending.worker.connections import Connection, RoutedConnection
from postlaw_sending.worker.lane import Lane
from postlaw_sending.worker.live_batch import CLAIM_SIZE, LiveBatch
from postlaw_sending.worker.partition import HeldPartition
from postlaw_sending.worker.routes import Exchange, Route, Unreachable

PATIENCE_S = 10.0
LOOK_EVERY_S = 1.0
RATE_OVER = 10  # ticks
_LONGEST_DELAY = max(BUSY_S, key=lambda reason: BUSY_S[reason])


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
    ticks: int = 0
    claimed: int = 0  # since the last tick
    rate: float = 0.0  # people claimed in a tick, of late
    owed: float = 0.0  # who was put off because of all that went before them, and is still to come again

    def first(self) -> _Waiting | None:
        """Whoever is to be claimed next."""
        while self.waiting:
            if self.waiting[0].batch.queues.get(self.route):
                return self.waiting[0]
            self.waiting.popleft()
        return None

    def size(self) -> int:
        return sum(len(entry.batch.queues.get(self.route, ())) for entry in self.waiting)

    def settle(self, state: int, reason: str) -> None:
        """Everyone who waits, without a claim: nothing of them was begun."""
        while (entry := self.first()) is not None:
            self.waiting.popleft()
            entry.partition.settle_unclaimed(entry.batch, self.route, state, reason)

    def put_off(self, partition: HeldPartition, batch: LiveBatch) -> None:
        """Those of this batch, who would wait too long here. When they come again follows from how many were put off
        before them: what takes a hundred a minute does not have a million come back each minute."""
        after_s = self.owed / max(self.rate, 0.1) * LOOK_EVERY_S
        self.owed += len(batch.queues[self.route])
        reason = next((reason for reason, delay_s in BUSY_S.items() if delay_s >= after_s), _LONGEST_DELAY)
        partition.settle_unclaimed(batch, self.route, DEFERRED, reason)

    def tick(self) -> None:
        """Once in LOOK_EVERY_S: whoever has waited too long is put off."""
        before = time.monotonic() - PATIENCE_S
        while (entry := self.first()) is not None and entry.since <= before:
            self.waiting.popleft()
            self.put_off(entry.partition, entry.batch)
        self.ticks += 1
        self.rate += (self.claimed - self.rate) / min(self.ticks, RATE_OVER)
        self.owed = max(0.0, self.owed - self.rate)
        self.claimed = 0

    @property
    def full(self) -> bool:
        """Whoever comes now would wait too long, as far as can be told."""
        return self.ticks >= RATE_OVER and self.size() > max(CLAIM_SIZE, self.rate * PATIENCE_S / LOOK_EVERY_S)


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
                if queue.full:
                    queue.put_off(partition, batch)
                    continue
                queue.waiting.append(entry)
                self._attend(queue)

    async def look_after(self) -> None:
        """Background: puts off whoever has waited too long."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            for queue in list(self._queues.values()):
                queue.tick()
                self._forget(queue)

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
                    queue.settle(why.state, why.reason)
        finally:
            queue.lanes -= 1
            self._forget(queue)

    def _forget(self, queue: _Queue) -> None:
        if not queue.lanes and not queue.owed and queue.first() is None:
            self._queues.pop(queue.route, None)

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
        queue.claimed += len(claim.indexes)
        try:
            await lane.hand_over(partition, claim)
        except _ConnectionEnded:
            return
        finally:
            if claim.todo:
                partition.give_back(claim)
                queue.waiting.appendleft(entry)
