"""Where in its work a process ends, or stands still: a wrapping of its durable steps that the product knows nothing of.

`claim:after:3` is right after the third passing of the point `claim`; `before` is the other side. Which points there are, the process's own
module says.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any


class Death:
    """At the n-th passing of one point, and on one side of it. `number`: SIGKILL, or SIGSTOP for a process that stands still there."""

    def __init__(self, spec: str, number: signal.Signals = signal.SIGKILL) -> None:
        self.point, self.side, passing = spec.split(":")
        self.left = int(passing)
        self._signal = number

    def passes(self, point: str) -> bool:
        """Whether this passing is the one to die at."""
        if point != self.point:
            return False
        self.left -= 1
        return self.left == 0

    def die(self) -> None:
        os.kill(os.getpid(), self._signal)

    async def around(self, point: str, work: Callable[[], Awaitable[Any]]) -> Any:
        """What failed was no step: another one was faster, or the server was away."""
        if self.side == "before" and self.passes(point):
            self.die()
        done = await work()
        if self.side == "after" and self.passes(point):
            self.die()
        return done
