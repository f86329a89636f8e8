"""AwaitStopped (design §3, rule 3): what a person is told, and what it rests on."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from postlaw_common.bus import BusUnavailable
from postlaw_common.bus.generation import Generations
from postlaw_common.store import StoreUnavailable
from postlaw_common.telemetry import get_logger, meter
from postlaw_sending.stop.holding import SENT, UNKNOWN, Holding
from postlaw_sending.stop.holdings import Holdings
from postlaw_sending.stop.observing import LEASE_S, Observer
from postlaw_sending.stop.watermarks import Watermarks

log = get_logger("sending.stop")
_lost = meter("postlaw.sending").create_counter(
    "postlaw.sending.holders.lost",
    unit="{partition}",
    description="Partitions taken from a holder that counted as lost, to answer an opt-out",
)

ANSWER_WITHIN_S = 6.0  # a lease time for a lost holder to show, a take-over, and some to spare
OBSERVE_EVERY_S = LEASE_S / 6


@dataclass(frozen=True, slots=True)
class Answer:
    """`stopped` false: recorded. `reason`: why only that. `handed`: when messages to them left, as far as the ledger does not say it yet,
    microseconds since the epoch; `unsettled`: batches that nobody holds, each of which may have one, too."""

    stopped: bool
    epoch: int
    reason: str = ""
    handed: tuple[int, ...] = ()
    unsettled: int = 0


class AwaitStopped:
    """Answers for withdrawals that already stand in the consent log. Several may run at once, in any process."""

    def __init__(self, holdings: Holdings, watermarks: Watermarks, observer: Observer, generations: Generations) -> None:
        self._holdings = holdings
        self._watermarks = watermarks
        self._observer = observer
        self._generations = generations
        _lost.add(0)  # shown from the start: who first sees a counter at 1 cannot tell that it has risen

    async def __call__(self, tag: bytes, partition: int, offset: int, generation: str, within_s: float = ANSWER_WITHIN_S) -> Answer:
        """The withdrawal of the recipient `tag` stands at `offset` of the consent partition, in this `generation` of the topics."""
        judging = asyncio.create_task(self._judge(tag, partition, offset, generation, time.monotonic() + within_s))
        try:
            async with asyncio.timeout(within_s):
                # Asked after the publish: where the topics are others by now, the offset may be of either, and proves nothing.
                if await self._generations.now() != generation:
                    return Answer(False, 0, "the topics have been replaced")
                return await judging
        except TimeoutError:
            return Answer(False, 0, "the worker did not confirm in time")
        except StoreUnavailable as unavailable:
            return Answer(False, 0, f"the store of holdings cannot be reached: {unavailable}")
        except BusUnavailable as unavailable:
            return Answer(False, 0, f"the bus cannot be reached: {unavailable}")
        finally:
            judging.cancel()
            await asyncio.gather(judging, return_exceptions=True)

    async def _judge(self, tag: bytes, partition: int, offset: int, generation: str, deadline: float) -> Answer:
        while True:
            # Read after the publish, never from a cache: an older epoch's watermark says nothing of a newer holder.
            holding = await self._holdings.read(partition)
            if holding.owner is None:
                # Nobody holds it, and whoever takes it reads the log's end first: only what was left open can still be under way.
                return self._by_claims(holding, tag)
            self._observer.observe([holding])
            lost = self._observer.is_lost(holding)
            until = min(deadline, time.monotonic() + (0.0 if lost else OBSERVE_EVERY_S))
            answer = await self._by_marks(holding.epoch, tag, partition, offset, generation, until)
            if answer is not None:
                return answer
            if lost:
                taken = await self._holdings.take(holding, None)
                if taken is not None:
                    _lost.add(1)
                    log.warning("holder_lost", partition=partition, epoch=taken.epoch)
                    return self._by_claims(taken, tag)

    async def _by_marks(self, epoch: int, tag: bytes, partition: int, offset: int, generation: str, until: float) -> Answer | None:
        """What the watermarks of this epoch say; None once a newer holder's comes, or it is `until` (monotonic seconds).

        Its holder held the partition after the publish: however late its mark comes, the holding need not be read again."""
        mark = self._watermarks.latest(partition, generation)
        while True:
            if mark is not None and mark.epoch == epoch and mark.applied >= offset:
                handed = tuple(at_us for handed_to, at_us in mark.handed if handed_to == tag)
                if tag in mark.left_open:
                    return Answer(False, epoch, "an earlier worker was lost while it handed over a message to this address", handed)
                if offset not in mark.waiting:
                    return Answer(True, epoch, handed=handed)
            left_s = until - time.monotonic()
            if left_s <= 0:
                return None
            await self._watermarks.moved(partition, generation, mark, left_s)
            newer = self._watermarks.latest(partition, generation)
            if newer is not mark and newer is not None and newer.epoch > epoch:
                return None
            mark = newer

    def _by_claims(self, holding: Holding, tag: bytes) -> Answer:
        unsettled = sum(SENT in batch.states or UNKNOWN in batch.states for batch in holding.batches)
        if holding.names(tag):
            lost = "a worker was lost while it handed over a message to this address"
            return Answer(False, holding.epoch, lost, unsettled=unsettled)
        return Answer(True, holding.epoch, unsettled=unsettled)
