from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest


@pytest.fixture
async def no_task_is_left() -> AsyncIterator[None]:
    yield
    left = [task.get_coro() for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert [str(task) for task in left if "postlaw" in str(task)] == []


@pytest.fixture(params=[False, True], ids=["network", "near"])
def near(request: pytest.FixtureRequest) -> bool:
    """Over the network, or as services of one process call each other: a call means the same."""
    return request.param
