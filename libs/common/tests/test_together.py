"""Group commit: who asks at about the same time is asked for together, and is told what was theirs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextvars import ContextVar

import pytest

from postlaw_common.testing.patience import patience
from postlaw_common.together import Together


class Asked:
    """Doubles numbers. Held back until `go_on` is set."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def __call__(self, numbers: Sequence[int]) -> list[int]:
        self.groups.append(list(numbers))
        await self.go_on.wait()
        if 13 in numbers:
            raise ValueError("thirteen")
        return [2 * number for number in numbers]


async def begun(asked: Asked, groups: int) -> None:
    async with patience():
        while len(asked.groups) < groups:
            await asyncio.sleep(0)


async def test_who_comes_while_an_answer_is_under_way_goes_with_the_next() -> None:
    asked = Asked()
    together = Together(asked)
    asked.go_on.clear()
    first = asyncio.create_task(together(1))
    await begun(asked, 1)
    others = [asyncio.create_task(together(number)) for number in (2, 3, 4)]
    await asyncio.sleep(0)
    asked.go_on.set()
    assert await asyncio.gather(first, *others) == [2, 4, 6, 8]
    assert asked.groups == [[1], [2, 3, 4]]


async def test_no_more_go_together_than_may() -> None:
    asked = Asked()
    together = Together(asked, most=2)
    assert await asyncio.gather(*map(together, range(5))) == [0, 2, 4, 6, 8]
    assert asked.groups == [[0, 1], [2, 3], [4]]


def passing_at_once(stopped: pytest.MonkeyPatch) -> list[float]:
    """Sleeps take no time; the seconds of each are noted in what is returned."""
    slept: list[float] = []
    sleep = asyncio.sleep

    async def sleeping(seconds: float) -> None:
        slept.append(seconds)
        await sleep(0)

    stopped.setattr(asyncio, "sleep", sleeping)
    return slept


async def test_the_first_after_a_rest_waits_for_nothing_and_the_next_for_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked()
    together = Together(asked, apart_s=5.0)
    loop = asyncio.get_running_loop()
    now = 100.0
    with monkeypatch.context() as stopped:
        stopped.setattr(loop, "time", lambda: now)
        slept = passing_at_once(stopped)
        await together(1)
        now = 102.0
        await together(2)
        now = 110.0
        await together(3)
    assert slept == [pytest.approx(3.0)]


async def test_no_pause_is_made_where_as_many_wait_as_go_together(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked()
    together = Together(asked, apart_s=5.0, most=2)
    with monkeypatch.context() as stopped:
        pauses = passing_at_once(stopped)
        await asyncio.gather(*map(together, range(7)))
    assert asked.groups == [[0, 1], [2, 3], [4, 5], [6]]
    assert len(pauses) == 1  # before the last, who is alone


async def test_what_goes_wrong_is_told_to_all_of_its_group_and_to_nobody_else() -> None:
    asked = Asked()
    together = Together(asked, most=2)
    answers = await asyncio.gather(*map(together, (13, 1, 2)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [ValueError, ValueError, int]


async def test_who_gives_up_takes_nobody_along() -> None:
    asked = Asked()
    together = Together(asked)
    asked.go_on.clear()
    gone, stays = (asyncio.create_task(together(number)) for number in (1, 2))
    await begun(asked, 1)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    asked.go_on.set()
    assert await stays == 4
    assert await together(3) == 6
    assert asked.groups == [[1, 2], [3]]


async def test_it_is_asked_in_nobodys_name() -> None:
    name: ContextVar[str] = ContextVar("name", default="nobody")

    async def ask(questions: Sequence[int]) -> list[str]:
        return [name.get() for _ in questions]

    together = Together(ask)
    name.set("ada")
    assert await together(1) == "nobody"
