"""What stands on the bus and is not in the log yet."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from postlaw_audit.log_state import LogState
from postlaw_common.bus import Bus, Received
from postlaw_common.bus.once import end_offsets


async def waiting(bus: Bus, state: LogState) -> AsyncGenerator[tuple[Received, int]]:
    """Of each partition that the log is behind: the first record that it lacks, and how many it lacks. Raises BusUnavailable."""
    places = [(topic, number) for topic, row in state.offsets.items() for number in range(len(row))]
    for (topic, number), end in (await end_offsets(bus, places)).items():
        read = state.offsets[topic][number]
        if end > read and (first := await bus.read_range(topic, number, read, read + 1)):
            yield first[0], end - read
