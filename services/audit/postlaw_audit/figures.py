"""What the log's writer shows of itself: its size, how far it is behind the topics, how old its checkpoint is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager

from postlaw_common.bus import Bus, BusUnavailable
from postlaw_common.telemetry import exporting, get_logger
from postlaw_common.telemetry.gauges import Gauge

log = get_logger("audit.writer")

LOOK_EVERY_S = 10.0

_size = Gauge("postlaw.audit.size", "{entry}", "Entries that are committed to the log", max)
_age = Gauge("postlaw.audit.checkpoint.age", "s", "Seconds since the published checkpoint last covered all that was committed", max)
_lag = Gauge("postlaw.audit.lag", "{record}", "Records on the event topics that are not in the log yet")

Offsets = Mapping[str, Sequence[int]]


@contextmanager
def shown(bus: Bus, offsets: Callable[[], Offsets], size: Callable[[], int], covered_at: Callable[[], float]) -> Generator[None]:
    """For as long as this process owns the log. `offsets`: by topic and partition, the next to be taken; `covered_at`: monotonic."""
    with _size.shows(size), _age.shows(lambda: time.monotonic() - covered_at()):
        looking = asyncio.create_task(_look(bus, offsets)) if exporting() else None
        try:
            yield
        finally:
            if looking is not None:
                looking.cancel()


async def _look(bus: Bus, offsets: Callable[[], Offsets]) -> None:
    behind: list[int] = []
    with _lag.shows(lambda: behind[-1] if behind else None):
        while True:
            try:
                client = await bus.end_offset_client()
                try:
                    while True:
                        ends = await client.end_offsets([(topic, n) for topic, row in offsets().items() for n in range(len(row))])
                        now = offsets()
                        behind[:] = [sum(max(0, end - now[topic][n]) for (topic, n), end in ends.items())]
                        await asyncio.sleep(LOOK_EVERY_S)
                finally:
                    await client.close()
            except BusUnavailable:
                log.debug("lag_not_known")
                await asyncio.sleep(LOOK_EVERY_S)
