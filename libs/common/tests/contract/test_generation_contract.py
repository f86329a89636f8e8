"""The generation of the topics, on every bus."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from types import SimpleNamespace
from typing import Any, cast

from postlaw_common.bus import Bus, Reader, Record
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


async def test_while_the_last_known_record_stands_the_bus_is_asked_once(new_bus: NewBus) -> None:
    bus, assigned = await new_bus(), list[Mapping[tuple[str, int], int]]()

    class Noting:
        """The bus, whose readers note what they are to read."""

        async def reader(self) -> Reader:
            reader = await bus.reader()
            assign = reader.assign

            async def noted(positions: Mapping[tuple[str, int], int]) -> None:
                assigned.append(positions)
                await assign(positions)

            return cast("Reader", SimpleNamespace(assign=noted, read=reader.read, close=reader.close))

        def __getattr__(self, name: str) -> Any:
            return getattr(bus, name)

    generations = Generations(cast("Bus", Noting()))
    generation = await generations.begin()
    await bus.publish([Record(*PLACE, b"gen_late", headers={FOLLOWS: b"gen_none"})])
    assert await generations.now() == generation, "it does not count"
    assigned.clear()
    assert await generations.now() == generation
    assert [positions.get(PLACE, 0) > 0 for positions in assigned] == [True, False], "from the last one on, not from the beginning"
    await generations.close()
