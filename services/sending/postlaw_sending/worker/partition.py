"""One held partition: its holding's only writer, its second gate, its live batches and claims.

Every write of the holding gathers whatever changed since the last one, over all connections. A claim may be handed over only
after a write that contains it has returned; a settled batch leaves as one event only after a write that contains its states.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import chain

from postlaw_common.bus import Received
from postlaw_common.store import StoreUnavailable
from postlaw_common.telemetry import get_logger, meter
from postlaw_sending.stop.holding import Holding, LeftOpen, Place
from postlaw_sending.stop.holdings import EpochRefused, Holdings, wall_clock_us
from postlaw_sending.stop.observing import RENEW_EVERY_S
from postlaw_sending.stop.second_gate import SecondGate
from postlaw_sending.stop.wire import JOBS, SINGLES
from postlaw_sending.worker.lately_stopped import LatelyStopped
from postlaw_sending.worker.live_batch import Claim, LiveBatch
from postlaw_sending.worker.routes import Route
from postlaw_sending.worker.settled_count import count_settled

log = get_logger("sending.worker")
_refused = meter("postlaw.sending").create_counter(
    "postlaw.sending.epoch.refusals", unit="{write}", description="Writes of a holding refused, because the partition had been taken over"
)

GATHER_S = 0.05  # what nobody needs at once is written so late at most: with it goes what the other lanes claim meanwhile
CAMPAIGNS_KEPT = 256
WINDOW_KEPT = 20_000  # blocked recipients before those decided on are forgotten


def place_of(record: Received) -> Place:
    return Place(record.topic == SINGLES, record.offset)


class HeldPartition:
    """`publish_settled` makes and publishes the events of finished batches; `changed` tells the worker that there is work, `mark`
    that the watermark says something new. `arrived`: there is a batch whose people are to be claimed by route."""

    def __init__(
        self,
        holding: Holding,
        gate: SecondGate,
        holdings: Holdings,
        publish_settled: Callable[[HeldPartition, list[LiveBatch]], Awaitable[None]],
        changed: Callable[[], None],
        mark: Callable[[int], None],
        arrived: Callable[[HeldPartition, LiveBatch], None] | None = None,
    ) -> None:
        self.holding = holding
        self.gate = gate
        self.batches: dict[Place, LiveBatch] = {}
        self.singles: dict[Place, LiveBatch] = {}  # those of them that go first
        self.records: dict[str, deque[Received]] = {JOBS: deque(), SINGLES: deque()}  # read, not yet taken; by topic
        self.claims: set[Claim] = set()
        self.lost = False  # the epoch was refused
        self.releasing = False
        self.released = False
        self.worker = holding.owner or ""
        self.dropped = False  # a connection ended without its final reply
        self.lately_stopped: LatelyStopped | None = None  # where the relay declares its queue's life
        self._handing_back = False
        self._fresh_left_open: list[LeftOpen] = []
        self._holdings = holdings
        self._publish_settled = publish_settled
        self._changed = changed
        self._mark = mark
        self._arrived = arrived
        self._dirty = asyncio.Event()
        self._awaited = asyncio.Event()  # somebody needs the next write to go on
        self._waiters: list[asyncio.Future[None]] = []
        self._publishing: set[asyncio.Task[None]] = set()
        self._being_published: set[Place] = set()

    @property
    def number(self) -> int:
        return self.holding.partition

    def next_offset(self, topic: str) -> int:
        """From where this topic of jobs is to be read on."""
        records = self.records[topic]
        return records[-1].offset + 1 if records else self.holding.next_offset(single=topic == SINGLES)

    def may_send(self) -> bool:
        """Whether we may write anything of any message, as far as we know at this instant (rule 4)."""
        return not self.lost and self.gate.permitted()

    def take_batch(self, batch: LiveBatch) -> None:
        """A job record becomes a live batch. The ledger learns of it with the first claim."""
        self.holding.pass_by(batch.place)
        self.holding.taken[batch.campaign_id] = max(self.holding.taken.get(batch.campaign_id, 0), batch.number + 1)
        self.add(batch)
        if self._arrived is not None:
            self._arrived(self, batch)
        if batch.open:
            self._changed()
        else:
            self.touch()

    def add(self, batch: LiveBatch) -> None:
        """A live batch, just taken or a predecessor's."""
        self.batches[batch.place] = batch
        if batch.place.single:
            self.singles[batch.place] = batch

    def forget_ended(self, ended: Callable[[str], bool]) -> None:
        """Batch numbers of campaigns that have ended; a planner's late copy of one of their batches can no longer come."""
        if len(self.holding.taken) > CAMPAIGNS_KEPT:
            self.holding.taken = {campaign: number for campaign, number in self.holding.taken.items() if not ended(campaign)}

    def pass_over(self, record: Received) -> None:
        """A job record that leads to nothing: taken before, or not ours to read."""
        self.holding.pass_by(place_of(record))

    async def claim(self, *, at_once: bool = True) -> Claim | None:
        """The next claim, durable, a single message's before a campaign's; None where nothing is left to claim or the partition is
        gone. Not `at_once`: a campaign's may wait for other claims to be written with it, until `hurry` at the latest."""
        if not self.gives_claims:
            return None
        for batch in chain(self.singles.values(), self.batches.values()):
            if batch.unclaimed:
                return await self._noted(Claim.take(batch), at_once=at_once or batch.place.single)
        return None

    async def claim_of(self, batch: LiveBatch, route: Route, most: int) -> Claim | None:
        """The next claim on that route, as `claim`."""
        if not self.gives_claims or not batch.queues.get(route):
            return None
        return await self._noted(Claim.take(batch, route, most), at_once=True)

    async def _noted(self, claim: Claim, *, at_once: bool) -> Claim | None:
        self.claims.add(claim)
        try:
            await self.written(at_once=at_once)
        except asyncio.CancelledError:
            self.give_back(claim)
            raise
        return None if self.lost else claim

    def settle_unclaimed(self, batch: LiveBatch, route: Route, state: int, reason: str) -> None:
        """Nobody of that batch is handed over on that route."""
        if batch.queues.get(route):
            batch.settle_unclaimed(route, state, reason)
            self.touch()
            self._changed()

    @property
    def gives_claims(self) -> bool:
        return not self.lost and not self.releasing

    def has_unclaimed(self) -> bool:
        return any(batch.unclaimed for batch in self.batches.values())

    def has_unclaimed_single(self) -> bool:
        return any(batch.unclaimed for batch in self.singles.values())

    def settle(self, claim: Claim, index: int, state: int, reason: str, at_us: int) -> None:
        if claim.settle(index, state, reason, at_us):
            self.close(claim)

    def close(self, claim: Claim) -> None:
        self.claims.discard(claim)
        self.touch()
        self._changed()

    def give_back(self, claim: Claim) -> None:
        claim.give_back()
        if claim.left == 0:
            self.close(claim)

    def leave_open(self, claim: Claim, index: int) -> None:
        """We ended a connection without a final reply and cannot tell whether the receiver has: it counts as under way."""
        entry = LeftOpen(claim.batch.tags[index], claim.batch.scope, self.worker, self.holding.epoch, wall_clock_us())
        self._fresh_left_open.append(entry)
        self.dropped = True

    def left_open_tags(self) -> frozenset[bytes]:
        return frozenset(entry.tag for entry in (*self.holding.left_open, *self._fresh_left_open))

    def touch(self) -> None:
        self._dirty.set()

    async def written(self, *, at_once: bool = True) -> None:
        """Returns after a write that contains everything as it is now, or once the partition is lost."""
        if self.lost:
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._dirty.set()
        if at_once:
            self._awaited.set()
        await waiter

    def hurry(self) -> None:
        """Whoever waits for the next write needs it now."""
        if self._waiters:
            self._awaited.set()

    async def keep(self) -> None:
        """The writer: runs for as long as the partition is held, and renews when nothing else is to be written."""
        try:
            while not self.lost and not self.released:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(RENEW_EVERY_S):
                        await self._dirty.wait()
                    async with asyncio.timeout(GATHER_S):
                        await self._awaited.wait()
                await self._write()
        finally:
            self._resolve(self._waiters)
            self._changed()

    async def _write(self) -> None:
        self._dirty.clear()
        self._awaited.clear()
        waiters, self._waiters = self._waiters, []
        finished = [b for b in self.batches.values() if not b.open and b.place not in self._being_published]
        # A copy: what changes while the store works must come in whole with the next write, never by halves with this one.
        written = replace(
            self.holding,
            owner=None if self._handing_back else self.worker,
            batches=[batch.record() for batch in self.batches.values()],
            claims=[claim.record() for claim in self.claims],
            left_open=self.holding.left_open + self._fresh_left_open,
            taken=dict(self.holding.taken),
        )
        fresh = list(self._fresh_left_open)
        while True:
            try:
                await self._holdings.write(written, held_by=self.worker, fresh=fresh)
                break
            except StoreUnavailable as unavailable:
                # Nothing new becomes durable, so nothing new is handed over; what was claimed may end.
                log.warning("holding_not_written", partition=self.number, error=str(unavailable))
                await asyncio.sleep(0.25)
            except EpochRefused as refused:
                _refused.add(1)
                log.warning("epoch_refused", partition=self.number, reason=str(refused))
                self.lost = True
                break
        self.holding.v, self.holding.renewals = written.v, written.renewals
        if len(written.left_open) < len(self.holding.left_open):
            self._mark(self.number)  # an end was attested, or has lapsed: whoever waits may now be answered
        self.holding.left_open = written.left_open
        self._fresh_left_open = self._fresh_left_open[len(fresh) :]
        self.released = written.owner is None and not self.lost
        self._resolve(waiters)
        if finished and not self.lost:
            self._being_published.update(batch.place for batch in finished)
            task = asyncio.create_task(self._publish(finished))
            self._publishing.add(task)
            task.add_done_callback(self._publishing.discard)

    @staticmethod
    def _resolve(waiters: list[asyncio.Future[None]]) -> None:
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
        waiters.clear()

    async def _publish(self, finished: list[LiveBatch]) -> None:
        await self._publish_settled(self, finished)
        count_settled(finished)
        for batch in finished:
            if batch.span is not None:
                batch.span.end()
            self.batches.pop(batch.place, None)
            self.singles.pop(batch.place, None)
            self._being_published.discard(batch.place)
        if self.gate.size > WINDOW_KEPT:
            self.gate.forget_before(min((batch.consent_offset for batch in self.batches.values()), default=self.gate.next_offset))
        self.touch()
        self._changed()

    async def release(self, deadline_s: float) -> None:
        """Hand the partition back in good order: claims end, settled batches leave, then nobody owns it.

        Out of time, it is handed back as it stands: an observer takes it over, and what is open becomes `unknown`."""
        self.releasing = True
        until = time.monotonic() + deadline_s
        while self.claims or self._publishing or any(not batch.open for batch in self.batches.values()):
            if self.lost or time.monotonic() > until:
                return
            await asyncio.sleep(0.02)
        self._handing_back = True
        while not self.released and not self.lost and time.monotonic() < until:
            self.touch()
            await asyncio.sleep(0.01)
