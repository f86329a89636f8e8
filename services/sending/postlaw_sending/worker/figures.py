"""What a worker shows of itself: partitions and permits, claims, how far it is behind. Looked at when the exporter asks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager

from postlaw_common.bus import Bus, BusUnavailable
from postlaw_common.telemetry import exporting, get_logger
from postlaw_common.telemetry.gauges import Gauge
from postlaw_sending.stop.wire import JOBS, SINGLES
from postlaw_sending.worker.partition import HeldPartition
from postlaw_sending.worker.settled_count import begin_count

log = get_logger("sending.worker")

LOOK_EVERY_S = 10.0

_held = Gauge("postlaw.sending.partitions.held", "{partition}", "Partitions that this worker holds")
_permitted = Gauge("postlaw.sending.partitions.permitted", "{partition}", "Of these, those that it may send for now")
_claims = Gauge("postlaw.sending.claims.open", "{claim}", "Claims written down and not settled yet")
_left_open = Gauge("postlaw.sending.recipients.left_open", "{recipient}", "Recipients whose hand-off a lost worker may have left under way")
_waiting = Gauge("postlaw.sending.withdrawals.waiting", "{withdrawal}", "Withdrawals applied, but for a message under way")
_lag = Gauge("postlaw.sending.watermark.lag", "{record}", "Consent events known of and not applied, on the partition furthest behind", max)
_jobs = Gauge("postlaw.sending.jobs.waiting", "{batch}", "Batches in the log that no worker has taken yet")


@contextmanager
def shown(held: Mapping[int, HeldPartition], bus: Bus) -> Generator[None]:
    """For as long as a worker runs. `held` is its own, read from the exporter's thread."""

    def over(figure: Callable[[list[HeldPartition]], float]) -> Callable[[], float]:
        return lambda: figure(list(held.values()))

    with ExitStack() as shown:
        for gauge, figure in (
            (_held, over(len)),
            (_permitted, over(lambda all: sum(p.gate.permitted() for p in all))),
            (_claims, over(lambda all: sum(len(p.claims) for p in all))),
            (_left_open, over(lambda all: sum(len(p.holding.left_open) for p in all))),
            (_waiting, over(lambda all: sum(len(p.gate.waiting()) for p in all))),
            (_lag, over(lambda all: max((p.gate.behind for p in all), default=0))),
        ):
            shown.enter_context(gauge.shows(figure))
        begin_count()
        looking = asyncio.create_task(_look_at_jobs(held, bus)) if exporting() else None
        try:
            yield
        finally:
            if looking is not None:
                looking.cancel()


async def _look_at_jobs(held: Mapping[int, HeldPartition], bus: Bus) -> None:
    """On a client of its own: the one that keeps the permits does nothing else (design §3, rule 4)."""
    waiting: list[int] = []
    with _jobs.shows(lambda: waiting[-1] if waiting else None):
        while True:
            try:
                client = await bus.end_offset_client()
                try:
                    while True:
                        ends = await client.end_offsets([(topic, number) for topic in (JOBS, SINGLES) for number in held])
                        taken = {n: p.holding for n, p in held.items()}
                        numbers = [end - taken[n].next_offset(single=topic == SINGLES) for (topic, n), end in ends.items() if n in taken]
                        waiting[:] = [sum(max(0, number) for number in numbers)]
                        await asyncio.sleep(LOOK_EVERY_S)
                finally:
                    await client.close()
            except BusUnavailable:
                log.debug("jobs_not_counted")
                await asyncio.sleep(LOOK_EVERY_S)
