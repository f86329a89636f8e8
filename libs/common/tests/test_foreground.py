"""Foreground first: what background work does while somebody waits."""

from __future__ import annotations

import asyncio

from postlaw_common.foreground import answering, step_aside


async def test_while_somebody_waits_background_work_goes_on_one_at_a_time() -> None:
    passes = 0
    went_on: list[int] = []

    async def count() -> None:
        nonlocal passes
        while True:
            passes += 1
            await asyncio.sleep(0)

    async def work() -> None:
        await step_aside()
        went_on.append(passes)

    counting = asyncio.create_task(count())
    with answering():
        await asyncio.gather(*(work() for _ in range(12)))
    counting.cancel()
    assert len(set(went_on)) == 12


async def test_while_nobody_waits_background_work_gives_way_for_one_pass() -> None:
    with answering():
        await step_aside()
    others: list[str] = []
    asyncio.get_running_loop().call_soon(others.append, "had their turn")
    await step_aside()
    assert others == ["had their turn"]
