"""The generation of the topics, on every bus."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from postlaw_common.bus import Bus, Record
from postlaw_common.bus.generation import FOLLOWS, PLACE, Generations

NewBus = Callable[[], Awaitable[Bus]]


async def test_whoever_starts_finds_the_generation_that_the_first_began(new_bus: NewBus) -> None:
    bus = await new_bus()
    many = [Generations(bus) for _ in range(3)]
    assert len(set(await asyncio.gather(*(each.begin() for each in many)))) == 1
    for each in many:
        await each.close()


async def test_a_raised_generation_is_known_to_all_at_their_next_question(new_bus: NewBus) -> None:
    bus = await new_bus()
    one, two = Generations(bus), Generations(bus)
    before = await one.begin()
    after = await two.raise_()
    assert before != after == await one.now()
    await bus.publish([Record(*PLACE, b"gen_late", headers={FOLLOWS: before.encode()})])
    assert await one.now() == after, "one that follows an earlier generation does not count"
    await one.close()
    await two.close()
