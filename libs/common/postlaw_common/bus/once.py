"""What stands in the log now, for whoever looks once and does not stay."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence

from postlaw_common.bus import Bus, Received


async def end_offsets(bus: Bus, partitions: Sequence[tuple[str, int]]) -> dict[tuple[str, int], int]:
    """For each (topic, partition) the offset that its next record will get. Raises BusUnavailable."""
    client = await bus.end_offset_client()
    try:
        return await client.end_offsets(partitions)
    finally:
        await client.close()


async def whole_topic(
    bus: Bus, topic: str, *, page: int = 500, patience_s: float = 2.0, start: Mapping[int, int] | None = None
) -> AsyncGenerator[list[Received]]:
    """Everything from the beginning (or from `start`, offsets by partition) up to where the topic ends now, in pages of at most `page`, in
    order within each partition.

    It ends, too, once nothing came for `patience_s`: retention has then taken what was left of the partitions. To be closed by whoever
    leaves off. Raises BusUnavailable."""
    ends = await end_offsets(bus, [(topic, partition) for partition in range(bus.partitions)])
    begin = {place: (start or {}).get(place[1], 0) for place in ends}
    left = {place: end for place, end in ends.items() if end > begin[place]}
    if not left:
        return
    reader = await bus.reader()
    try:
        await reader.assign({place: begin[place] for place in left})
        while left and (records := await reader.read(max_records=page, timeout=patience_s)):
            yield records
            for record in records:
                place = (record.topic, record.partition)
                if place in left and record.offset + 1 >= left[place]:
                    del left[place]
    finally:
        await reader.close()
