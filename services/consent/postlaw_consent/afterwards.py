"""Work that outlives the call that began it: tracked, so that stopping waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from postlaw_common.telemetry import get_logger

T = TypeVar("T")

_log = get_logger(__name__)


class Afterwards:
    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def begin(self, work: Coroutine[Any, Any, T], *, what: str) -> asyncio.Task[T]:
        """Starts it at once. It runs to its end whatever becomes of the caller; a failure is logged under `what`."""
        task = asyncio.create_task(work, name=what)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def drain(self, seconds: float = 10.0) -> None:
        """Waits for all of it, and for what it begins in turn; the rest is left to the relay of the next start."""
        ends = asyncio.get_running_loop().time() + seconds
        while self._tasks and (left := ends - asyncio.get_running_loop().time()) > 0:
            await asyncio.wait(set(self._tasks), timeout=left)
        for task in self._tasks:
            task.cancel()

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            _log.warning("work after an answer failed", work=task.get_name(), failure=type(failure).__name__)
