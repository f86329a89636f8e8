"""An event loop whose clock jumps to the next timer as soon as nothing else is to do: a minute of waiting takes no time."""

from __future__ import annotations

import asyncio
import selectors


class Deadlock(Exception):
    """Everybody waits for somebody, and no timer is set."""


class _Jumping(selectors.DefaultSelector):
    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Deadlock
        self.now += max(0.0, timeout)
        return super().select(0)


class VirtualTime(asyncio.SelectorEventLoop):
    """Single-threaded; `time()` begins at 0."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now
