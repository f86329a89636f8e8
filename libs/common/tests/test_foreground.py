"""Foreground first: what background work does while somebody waits."""

from __future__ import annotations

import asyncio

import pytest

from postlaw_common.foreground import PAUSE_S, answering, step_aside


async def test_while_somebody_waits_background_work_goes_on_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    with monkeypatch.context() as stopped:
        stopped.setattr(asyncio.get_running_loop(), "time", lambda: 100.0)  # a machine that is busy would make two turns one
        stopped.setattr(asyncio, "sleep", sleep)
        with answering():
            for _ in range(12):
                await step_aside()
    assert waits == pytest.approx([PAUSE_S * turn for turn in range(1, 13)])


async def test_while_nobody_waits_background_work_gives_way_for_one_pass() -> None:
    with answering():
        await step_aside()
    others: list[str] = []
    asyncio.get_running_loop().call_soon(others.append, "had their turn")
    await step_aside()
    assert others == ["had their turn"]
