"""Turns: one lane at a time writes, and where processors are short all lanes rest while people say stop.

Each withdrawal costs the mesh some twenty milliseconds of processor time, most of it in other processes. Where all processors are busy the
next person waits behind the mail at each of her steps, and longest where this worker should hear her, since a process that always has work
is taken off its processor amid it. So for each withdrawal heard the lanes owe a rest, and pay it between turns, as a part of the time that
they have worked. Only where the kernel has taken the processor from us since the last one: else nobody waits for it, and nobody rests.
ADR 61.
"""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from postlaw_common.foreground import step_aside
from postlaw_common.telemetry import meter

OWED_S = 0.025  # for a withdrawal
MOST_OWED_S = 0.25
LAPSES_S = 0.5  # after the last of them
WORK_S = 0.003  # of processor time, then a rest: shorter ones would not be worth the timer
REST = 4  # seconds at most for each second worked

_rested = meter("postlaw.sending").create_counter(
    "postlaw.sending.lanes.rested",
    unit="s",
    description="Time in which lanes rested, since people said stop while processors were short",
)


class Spent(NamedTuple):
    """Of this process since it began. `seconds`: of processor time. `preempted`: how often it was taken off while it had work."""

    seconds: float
    preempted: int


def spent() -> Spent:
    """By getrusage(2)."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return Spent(usage.ru_utime + usage.ru_stime, usage.ru_nivcsw)


class Turns:
    """`async with` it: one turn, short. `spent`: of a process whose lanes should rest; None where they never do."""

    def __init__(
        self,
        spent: Callable[[], Spent] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spent = spent
        self._sleep = sleep
        self._monotonic = monotonic
        self._lock = asyncio.Lock()
        self._owed_s = 0.0
        self._lapses_at = 0.0  # on the monotonic clock
        self._since = Spent(0.0, 0)

    def owe(self) -> None:
        """A withdrawal was heard for which somebody waits."""
        if self._spent is None:
            return
        if not self._owed():
            self._since = self._spent()
        self._owed_s = min(self._owed_s + OWED_S, MOST_OWED_S)
        self._lapses_at = self._monotonic() + LAPSES_S

    async def __aenter__(self) -> None:
        await self._lock.acquire()

    async def __aexit__(self, failure: type[BaseException] | None, *_: object) -> None:
        try:
            if failure is None:
                await self._between()
        finally:
            self._lock.release()

    async def _between(self) -> None:
        if self._spent is None or not self._owed() or not (rest_s := self._rest_s(self._spent())):
            await step_aside()
            return
        await self._sleep(rest_s)
        _rested.add(rest_s)
        self._owed_s = max(0.0, self._owed_s - rest_s)
        self._since = self._spent()

    def _owed(self) -> bool:
        """Whether anything is; of those who said stop a while ago, nothing is any more."""
        if self._owed_s and self._monotonic() >= self._lapses_at:
            self._owed_s = 0.0
        return self._owed_s > 0.0

    def _rest_s(self, now: Spent) -> float:
        worked_s = now.seconds - self._since.seconds
        if worked_s < WORK_S:
            return 0.0
        if now.preempted > self._since.preempted:
            return min(self._owed_s, REST * worked_s)
        self._since = now
        return 0.0
