"""The stop and the worker, wired by hand. Nothing is opened here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from postlaw.consent.v1 import consent_pb2 as consent
from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.bus import Topic
from postlaw_common.bus.generation import Generations
from postlaw_common.platform import Platform
from postlaw_common.service import Background
from postlaw_sending.delivery.lanes import Lanes
from postlaw_sending.delivery.relay import Relay
from postlaw_sending.forgetting import forgetting
from postlaw_sending.mx.assembly import Straight
from postlaw_sending.stop.await_stopped import AwaitStopped
from postlaw_sending.stop.holdings import HOLDINGS, Holdings
from postlaw_sending.stop.observing import Observer
from postlaw_sending.stop.relay_queue import AT_RELAY, RelayQueue
from postlaw_sending.stop.scope import recipient_tag
from postlaw_sending.stop.watermarks import Watermarks
from postlaw_sending.stop.wire import CONSENT_EVENTS, JOBS, OUTCOMES, SINGLES, WATERMARKS, scope_text
from postlaw_sending.worker import figures
from postlaw_sending.worker.jobs import Opener
from postlaw_sending.worker.ownership import WORKERS
from postlaw_sending.worker.turns import spent
from postlaw_sending.worker.worker import Outside, Worker

COLLECTIONS = (HOLDINGS, WORKERS, AT_RELAY)
TOPICS = (Topic(CONSENT_EVENTS), Topic(JOBS), Topic(SINGLES), Topic(WATERMARKS, retention_days=1), Topic(OUTCOMES))


@dataclass(frozen=True, slots=True)
class StopParts:
    """The API's side of the stop: `answering` runs beside it."""

    holdings: Holdings
    answering: Background
    await_stopped: AwaitStopped
    relay_queue: RelayQueue | None
    now_us: Callable[[], int]

    @property
    def sweeping(self) -> tuple[Background, ...]:
        return (forgetting("relay queue", self.relay_queue.forget),) if self.relay_queue is not None else ()

    async def ensure(self) -> None:
        await self.holdings.ensure()

    async def answer(self, request: sending.AwaitStoppedRequest) -> sending.AwaitStoppedResponse:
        tag = recipient_tag(request.tenant_id, request.address_key)
        answer = await self.await_stopped(tag, request.partition, request.offset, request.generation)
        outcome = consent.OUTCOME_STOPPED if answer.stopped else consent.OUTCOME_RECORDED
        response = sending.AwaitStoppedResponse(outcome=outcome, epoch=answer.epoch, reason=answer.reason)
        if self.relay_queue is not None:
            # Where nobody holds the partition only its ledger tells, and not of whom: each batch may have one of theirs, just now.
            now_us = self.now_us()
            live = (*answer.handed, *range(now_us - answer.unsettled, now_us))
            response.relay_may_hold, until_us = await self.relay_queue.holds(tag, scope_text(request.scope), live)
            if until_us:
                response.relay_until.FromMicroseconds(until_us)
        return response

    async def holdings_now(self, request: sending.ListHoldingsRequest) -> sending.ListHoldingsResponse:
        return sending.ListHoldingsResponse(
            holdings=[
                sending.HoldingStatus(
                    partition=holding.partition,
                    owner=holding.owner or "",
                    epoch=holding.epoch,
                    generation=holding.generation,
                    job_offset=holding.job_offset,
                    single_offset=holding.single_offset,
                    live_batches=len(holding.batches),
                    open_claims=len(holding.claims),
                    left_open=len(holding.left_open),
                    left_open_by=sorted({entry.worker for entry in holding.left_open}),
                )
                for holding in await self.holdings.all()
            ]
        )

    async def attest(self, request: sending.AttestWorkerEndRequest) -> sending.AttestWorkerEndResponse:
        return sending.AttestWorkerEndResponse(cleared=await self.holdings.attest_end(request.worker_id))


def relay_queue_in(platform: Platform, database: str, life_s: int) -> RelayQueue | None:
    """`life_s`: what the relay declares; 0: nothing."""
    return RelayQueue(lambda: platform.store(database).collection(AT_RELAY.name), life_s, platform.now_us) if life_s else None


def assemble_stop(platform: Platform, database: str, relay_queue: RelayQueue | None = None) -> StopParts:
    """`database`: sending's own. `relay_queue`: None where the relay declares none."""
    store = platform.store(database)
    holdings = Holdings(lambda: store.collection(HOLDINGS.name), platform.bus.partitions, platform.now_us)
    watermarks = Watermarks(platform.bus)
    generations = Generations(platform.bus)

    async def watch() -> None:
        try:
            await watermarks.run()
        finally:
            await generations.close()

    await_stopped = AwaitStopped(holdings, watermarks, Observer(), generations)
    return StopParts(holdings, Background("watermarks", watch), await_stopped, relay_queue, platform.now_us)


class WorkerParts:
    """One worker with its lanes, as a background that hands its partitions back when it is told to stop. `straight`: makes the way to
    the recipients' own servers; None: all mail goes to the relay. `rests`: whether lanes do (turns.py)."""

    def __init__(
        self,
        platform: Platform,
        database: str,
        relay: Relay,
        opener: Opener,
        status: Callable[[str], str],
        straight: Callable[[], Straight] | None = None,
        relay_queue: RelayQueue | None = None,
        *,
        rests: bool = False,
    ) -> None:
        self._rests = rests
        self._platform = platform
        self._database = database
        self._relay = relay
        self._straight = straight
        self._relay_queue = relay_queue
        self._opener = opener
        self._status = status

    async def run(self) -> None:
        store = self._platform.store(self._database)
        straight = self._straight() if self._straight is not None else None
        lanes = Lanes(self._relay) if straight is None else None
        generations = Generations(self._platform.bus)
        worker = Worker(
            Outside(
                bus=self._platform.bus,
                generations=generations,
                holdings=Holdings(lambda: store.collection(HOLDINGS.name), self._platform.bus.partitions, self._platform.now_us),
                workers=lambda: store.collection(WORKERS.name),
                opener=self._opener,
                status=self._status,
                connections=[lane.connection for lane in lanes.lanes] if lanes is not None else [],
                exchange=straight.exchange if straight is not None else None,
                router=straight.router if straight is not None else None,
                relay_queue=self._relay_queue,
                spent=spent if self._rests else None,
            )
        )
        running = asyncio.create_task(worker.run())
        try:
            with figures.shown(worker.held, self._platform.bus):
                await asyncio.shield(running)
        except asyncio.CancelledError:
            await worker.stop()
            raise
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            for outward in (lanes, straight.exchange if straight is not None else None):
                if outward is not None:
                    await outward.close()
            await generations.close()
