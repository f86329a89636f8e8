"""Whether the topics are those that the log has read: after a restore they are set back, and hold other records at the same offsets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from postlaw_common.bus import Bus, BusUnavailable, Received
from postlaw_common.bus.generation import Generations, generation_of
from postlaw_common.bus.once import end_offsets

SAY_SO = "was the bus set back? Stop every service and say so with `postlaw generation raise`"


async def begun_since(generations: Generations, known: Sequence[str]) -> list[Received]:
    """The records of the generations that a log lacks which knows these. Raises BusUnavailable where an earlier one is the current one
    again."""
    await generations.begin()
    begun = await generations.all()
    current = generation_of(begun[-1])
    if current in known[:-1]:
        raise BusUnavailable(f"the topics are of generation {current} again, which was over: {SAY_SO}")
    return [record for record in begun if generation_of(record) not in known]


async def refuse_set_back(bus: Bus, offsets: Mapping[str, Sequence[int]]) -> None:
    """Raises BusUnavailable where a partition ends before the offset that is to be read next."""
    ends = await end_offsets(bus, [(topic, n) for topic, row in offsets.items() for n in range(len(row))])
    for (topic, n), end in ends.items():
        if end < offsets[topic][n]:
            raise BusUnavailable(f"{topic}/{n} ends at {end}, but the log has its records up to {offsets[topic][n]}: {SAY_SO}")
