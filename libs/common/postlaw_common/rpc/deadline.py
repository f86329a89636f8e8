"""The time that is left for the call being served: our own calls on its behalf may not outlive it."""

from __future__ import annotations

import time
from contextvars import ContextVar


class TimeLeft:
    """`ends`: on the monotonic clock. `lift` when the call is over, so that work which it left behind is not bound by it."""

    __slots__ = ("ends",)

    def __init__(self, seconds: float) -> None:
        self.ends = time.monotonic() + seconds

    def lift(self) -> None:
        self.ends = float("inf")


_current: ContextVar[TimeLeft | None] = ContextVar("postlaw_time_left", default=None)


def begin(seconds: float) -> TimeLeft:
    """Sets the time of the call that the current task serves."""
    left = TimeLeft(seconds)
    _current.set(left)
    return left


def bounded(seconds: float) -> float:
    """`seconds`, or what is left of the call being served if that is less; never negative."""
    left = _current.get()
    if left is None:
        return seconds
    return max(0.0, min(seconds, left.ends - time.monotonic()))
