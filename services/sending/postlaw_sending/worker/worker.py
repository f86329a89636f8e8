"""The worker's cycle: hold partitions, hear withdrawals, take jobs, claim, hand over, settle.

A worker that is overtaken on a partition begins nothing more for it; once every hand-off that it had under way there has its final
reply, it says so, and they no longer count as under way (rule 5).

Past 300 lines by a few: taking a partition, working for it and giving it back are one order, in which the stop's rules hold.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from postlaw_common.bus import Bus, BusUnavailable
from postlaw_common.bus.generation import GenerationOver, Generations
from postlaw_common.bus.once import end_offsets
from postlaw_common.store import Collection, StoreUnavailable
from postlaw_common.telemetry import get_logger
from postlaw_sending.stop.holding import Holding, Place
from postlaw_sending.stop.holdings import Holdings
from postlaw_sending.stop.observing import RENEW_EVERY_S, Observer
from postlaw_sending.stop.relay_queue import RelayQueue
from postlaw_sending.stop.second_gate import SecondGate
from postlaw_sending.stop.wire import CONSENT_EVENTS, JOBS, SINGLES, closing
from postlaw_sending.worker.connections import Connection
from postlaw_sending.worker.destinations import Destinations
from postlaw_sending.worker.hearing import Hearing
from postlaw_sending.worker.jobs import Jobs, Opener
from postlaw_sending.worker.lane import Lane
from postlaw_sending.worker.lately_stopped import LatelyStopped, out
from postlaw_sending.worker.live_batch import CLAIM_SIZE, Claim, LiveBatch
from postlaw_sending.worker.ownership import Roll, fair_share, new_worker_id, to_take
from postlaw_sending.worker.partition import HeldPartition
from postlaw_sending.worker.routes import ROUTED_LANES, Exchange, Router
from postlaw_sending.worker.turns import Spent, Turns
from postlaw_sending.worker.wire import SealedBatch, parse_job, settled_record

log = get_logger("sending.worker")

DRAIN_S = 10.0
CUT_OFF_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class Outside:
    """What a worker needs of the rest of sending. `connections`: one awaitable source of a live connection a lane; none where an
    `exchange` gives them by route, and a `router` tells the routes."""

    bus: Bus
    generations: Generations
    holdings: Holdings
    workers: Callable[[], Collection]
    opener: Opener
    status: Callable[[str], str]
    connections: list[Callable[[], Awaitable[Connection]]]
    exchange: Exchange | None = None
    router: Router | None = None
    relay_queue: RelayQueue | None = None  # where the relay declares one
    spent: Callable[[], Spent] | None = None  # where lanes should rest while people say stop (turns.py)


class Worker:
    """`run` until cancelled; `stop` first, for an orderly end."""

    def __init__(self, outside: Outside, worker_id: str | None = None) -> None:
        self.id = worker_id or new_worker_id()
        self.held: dict[int, HeldPartition] = {}
        self._outside = outside
        self._roll = Roll(outside.workers, self.id)
        self._observer = Observer()
        self._generation = ""
        # Among routes a slow one is told by its pace (destinations.py), which rests of our own would change.
        self._turns = Turns(outside.spent if outside.exchange is None else None)
        self._hearing = Hearing(outside.bus, self.held, outside.generations, self._turns.owe)
        self._jobs = Jobs(outside.bus, self.held, outside.opener, self._wanted, outside.router)
        self._destinations = Destinations(outside.exchange, self._lane, self._start) if outside.exchange is not None else None
        self._wanted_ahead = 3 * CLAIM_SIZE * (len(outside.connections) or ROUTED_LANES)
        self._turn: deque[int] = deque()
        self._work = asyncio.Event()
        self._stopping = False
        self._balancing = asyncio.Lock()
        self._group = asyncio.TaskGroup()

    async def run(self) -> None:
        """Background. One that raises stops the process, which is the right end where the stop's own path is broken, and where the
        topics are no longer those with which it began (GenerationOver)."""
        await self._ensure()
        lanes = [self._lane(connection) for connection in self._outside.connections]
        async with self._group as group:
            for loop in (
                self._own,
                self._hearing.tail,
                self._hearing.publish_marks,
                self._hearing.keep_permits,
                self._jobs.tail,
                self._jobs.take,
                self._jobs.take_singles,
            ):
                group.create_task(loop())
            for lane in lanes:
                group.create_task(lane.run(self._next_claim, self._hurry))
            group.create_task(self._cut_off(lanes))
            if self._destinations is not None:
                group.create_task(self._destinations.look_after())

    def _lane(self, connection: Callable[[], Awaitable[Connection]]) -> Lane:
        return Lane(connection, self._outside.status, self._hearing.mark, self._turns)

    async def _cut_off(self, lanes: Sequence[Lane]) -> None:
        """A permit ends by itself: bytes that wait in a connection for a slow receiver must not follow later (rule 4)."""
        while True:
            await asyncio.sleep(CUT_OFF_EVERY_S)
            for lane in (*lanes, *(self._destinations.lanes if self._destinations is not None else ())):
                lane.cut_off()

    async def _ensure(self) -> None:
        while True:
            try:
                await self._outside.holdings.ensure()
                self._generation = self._hearing.generation = await self._outside.generations.begin()
                return
            except (StoreUnavailable, BusUnavailable) as unavailable:
                log.warning("holdings_wait", error=str(unavailable))
                await asyncio.sleep(RENEW_EVERY_S / 2)

    async def stop(self, within_s: float = DRAIN_S) -> None:
        """Finish what is under way, hand every partition back, leave the roll. Call it while `run` still runs."""
        self._stopping = True
        with suppress(TimeoutError):  # what is just being taken would else come to us when nobody hands it back any more
            async with asyncio.timeout(within_s), self._balancing:
                pass
        await asyncio.gather(*(partition.release(within_s) for partition in self.held.values()))
        await self._roll.leave()

    # ---- claims for lanes

    def _wanted(self) -> bool:
        """Whether lanes will soon want more batches opened than there are."""
        unclaimed = sum(batch.unclaimed for partition in self.held.values() for batch in partition.batches.values())
        return unclaimed < self._wanted_ahead

    def _changed(self) -> None:
        self._work.set()
        self._jobs.more()

    def _hurry(self) -> None:
        for partition in self.held.values():
            partition.hurry()

    async def _next_claim(self, lane: Lane) -> tuple[HeldPartition, Claim]:
        """The next durable claim."""
        while True:
            while (partition := self._whose_turn()) is not None:
                claim = await partition.claim(at_once=lane.waits)
                if claim is not None:
                    self._jobs.more()
                    return partition, claim
            self._work.clear()
            self._jobs.more()
            await self._work.wait()

    def _whose_turn(self) -> HeldPartition | None:
        """A partition with people to claim. Where a single message waits goes first; else lanes stay with one, so that one write serves
        several."""
        for partition in self.held.values():
            if partition.singles and partition.gives_claims and partition.has_unclaimed_single():
                return partition
        for _ in range(len(self._turn)):
            partition = self.held.get(self._turn[0])
            if partition is not None and partition.gives_claims and partition.has_unclaimed():
                return partition
            self._turn.rotate(-1)
        return None

    # ---- partitions

    async def _own(self) -> None:
        while True:
            try:
                async with self._balancing:
                    if not self._stopping:
                        await self._balance()
            except (StoreUnavailable, BusUnavailable) as unavailable:
                log.warning("ownership_waits", error=str(unavailable))
            await asyncio.sleep(RENEW_EVERY_S / 2)

    async def _balance(self) -> None:
        self._drop_lost()
        for partition in self.held.values():
            partition.forget_ended(lambda campaign: self._outside.status(campaign) in ("finished", "cancelled"))
        living = await self._roll.beat()
        holdings = await self._outside.holdings.all()
        self._observer.observe(holdings)
        share = fair_share(self._outside.holdings.partitions, len(living))
        wanted = [h for h in to_take(holdings, self._observer, len(self.held), share) if h.partition not in self.held]
        if wanted:
            await self._take(wanted)
        for number in list(self.held)[share:]:
            if not self.held[number].releasing:
                self._start(self._hand_back(self.held[number]))

    async def _take(self, wanted: list[Holding]) -> None:
        """Raise the epoch, read the end of the log, apply up to it; only then is anything sent (rule 5)."""
        void = [h for h in wanted if h.generation not in ("", self._generation)]
        if void:
            # Of an earlier generation only if ours is still the newest, now that they were read; else it is we who are late.
            await self._hearing.still_the_same()
            batches = sum(len(h.batches) for h in void)
            log.alert("holdings of an earlier generation of the topics: what was being sent is void", partitions=len(void), batches=batches)
        lost = {h.partition for h in wanted if h.owner is not None}  # of workers that stood still for a lease time
        taking = (self._outside.holdings.take(h, self.id, self._generation) for h in wanted)
        taken = [h for h in await asyncio.gather(*taking) if h is not None]
        if not taken:
            return
        ends = await end_offsets(self._outside.bus, [(CONSENT_EVENTS, holding.partition) for holding in taken])
        ready = await asyncio.gather(*(self._prepare(holding, ends[(CONSENT_EVENTS, holding.partition)]) for holding in taken))
        for partition in ready:
            self.held[partition.number] = partition
            self._turn.append(partition.number)
            self._start(partition.keep())
            if self._destinations is not None:
                for batch in partition.batches.values():
                    self._destinations.arrived(partition, batch)
        self._hearing.reassign()
        self._jobs.reassign()
        for partition in ready:
            self._hearing.mark(partition.number)
        log.info("partitions_taken", count=len(ready), held=len(self.held))
        if from_lost := sum(partition.number in lost for partition in ready):
            log.warning("partitions_of_lost_workers", count=from_lost)
        self._changed()

    async def _prepare(self, holding: Holding, end: int) -> HeldPartition:
        start = min([end, *(record.consent_offset for record in holding.batches)])
        gate = SecondGate(start)
        lately = LatelyStopped() if self._outside.relay_queue is not None else None
        for record in await self._outside.bus.read_range(CONSENT_EVENTS, holding.partition, start, end) if start < end else []:
            try:
                heard = closing(record.value)
            except ValueError:
                end = record.offset  # hearing comes upon it and halts: short of the log's end there is no permit
                break
            if heard is not None:
                gate.apply(record.offset, heard.tag, heard.scope)
                if lately is not None:
                    lately.say(record.offset, heard.tag, heard.scope)
        gate.advance(end)
        arrived = self._destinations.arrived if self._destinations is not None else None
        partition = HeldPartition(holding, gate, self._outside.holdings, self._publish_settled, self._changed, self._hearing.mark, arrived)
        partition.lately_stopped = lately
        for ledger in holding.batches:
            sealed = await self._sealed(holding.partition, ledger.place)
            partition.add(await self._jobs.open(holding.partition, ledger.place, sealed, ledger))
        partition.touch()
        return partition

    async def _sealed(self, partition: int, place: Place) -> SealedBatch:
        """A live batch. Where it is gone, or another stands in its place, the topics are not those of the holding: GenerationOver."""
        topic, offset = SINGLES if place.single else JOBS, place.offset
        found = await self._outside.bus.read_range(topic, partition, offset, offset + 1)
        sealed = parse_job(found[0]) if found else None
        if sealed is None or sealed.generation != self._generation:
            await self._hearing.still_the_same()
            raise GenerationOver(
                f"{topic}/{partition} holds no {offset}, a live batch: if topics were restored, `postlaw generation raise`"
            )
        return sealed

    async def _hand_back(self, partition: HeldPartition) -> None:
        """However long a receiver takes: until then it is ours to renew, to hear withdrawals for, and to settle."""
        await partition.release(math.inf)
        if partition.released:
            self._forget(partition)

    def _drop_lost(self) -> None:
        for partition in [p for p in self.held.values() if p.lost or p.released]:
            self._forget(partition)
            if partition.lost:
                self._start(self._attest(partition))

    def _forget(self, partition: HeldPartition) -> None:
        if self.held.get(partition.number) is partition:
            del self.held[partition.number]
            self._turn.remove(partition.number)
            self._hearing.reassign()
            self._jobs.reassign()

    async def _attest(self, partition: HeldPartition) -> None:
        """Overtaken: once all that was under way here has its final reply, nothing of ours is under way any more.

        Where a connection ended without one, the receiver may have the message yet: that stays counted."""
        await partition.gate.idle()
        while not partition.dropped:
            try:
                cleared = await self._outside.holdings.strike_out(partition.number, self.id, partition.holding.epoch)
            except StoreUnavailable as unavailable:
                log.warning("end_not_attested", partition=partition.number, error=str(unavailable))
                await asyncio.sleep(RENEW_EVERY_S)
            else:
                log.info("end_attested", partition=partition.number, cleared=cleared)
                return

    async def _publish_settled(self, partition: HeldPartition, finished: list[LiveBatch]) -> None:
        records = [settled_record(partition.number, batch, self.id, partition.holding.epoch, self._generation) for batch in finished]
        while True:
            try:
                if self._outside.relay_queue is not None:  # before they leave the ledger, so that at no time neither tells of them
                    await self._outside.relay_queue.note(out(finished))
                await self._outside.bus.publish(records)
                return
            except (BusUnavailable, StoreUnavailable) as gone:
                log.warning("outcomes_wait", partition=partition.number, error=str(gone))
                await asyncio.sleep(0.5)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self._group.create_task(work)
