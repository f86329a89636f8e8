"""How far a group is behind, as every adapter must tell it."""

from __future__ import annotations

import asyncio

from postlaw_common.bus import Bus, Record


async def test_a_groups_lag_is_what_it_has_not_committed(bus: Bus, topic: str) -> None:
    await bus.publish([Record(topic, partition, b"x") for partition in (0, 0, 0, 1)])
    reader = await bus.group(f"group of {topic}", [topic])
    read = []
    while len(read) < 4:
        read += await reader.read(timeout=2.0)
    assert await reader.lag() == {topic: 4}
    await reader.commit([record for record in read if (record.partition, record.offset) == (0, 1)])
    assert await reader.lag() == {topic: 2}
    await reader.commit(read)
    await bus.publish([Record(topic, 2, b"x")])
    assert await reader.lag() == {topic: 1}
    await reader.close()


async def test_members_tell_the_lag_of_their_own_partitions(bus: Bus, topic: str) -> None:
    await bus.publish([Record(topic, partition, b"x") for partition in range(bus.partitions)])
    first, second = [await bus.group(f"group of {topic}", [topic]) for _ in range(2)]
    behind = 0
    for _ in range(100):  # a real broker takes a moment to share the partitions out
        await asyncio.gather(first.read(timeout=0.1), second.read(timeout=0.1))
        shares = (await first.lag())[topic], (await second.lag())[topic]
        behind = sum(shares)
        if behind == bus.partitions and all(shares):
            break
    assert behind == bus.partitions
    await first.close()
    await second.close()
