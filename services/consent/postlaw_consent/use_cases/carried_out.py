"""What people asked for on a page was answered once it was durable; here it is carried out: at once, and by sweeping what a crash or an
outage left."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, Protocol, TypeVar

from postlaw_common.bus import BusUnavailable
from postlaw_common.errors import Invalid, PostlawError
from postlaw_common.store import StoreUnavailable
from postlaw_common.telemetry import get_logger

SWEEP_S = 1.0
FORGET_EVERY_S = 3600.0
IN_HAND_US = 5_000_000  # what was just taken is being done already, by whoever took it
_AGAIN_US = (2_000_000, 10_000_000, 60_000_000, 300_000_000, 1_800_000_000)
_GIVEN_UP_US = 24 * 3600 * 1_000_000
_TOGETHER = 8

log = get_logger(__name__)


class Intent(Protocol):
    """`at_us`: when it came; `due_us`: not to be tried before."""

    @property
    def id(self) -> str: ...
    @property
    def at_us(self) -> int: ...
    @property
    def tries(self) -> int: ...
    @property
    def due_us(self) -> int: ...


AnIntent = TypeVar("AnIntent", bound=Intent)


class Intents(Protocol[AnIntent]):
    async def open(self, *, after: str = "", limit: int = 100) -> Sequence[AnIntent]: ...
    async def end(self, id: str) -> None: ...
    async def put_off(self, intent: AnIntent, due_us: int, /) -> None: ...


class CarriedOut(Generic[AnIntent]):
    """`carry_out` raises Invalid where nothing will ever come of it; whatever else it raises, it is tried again for a day. `what` they are,
    for the log; `forget`: what is swept beside them."""

    def __init__(
        self,
        what: str,
        intents: Intents[AnIntent],
        carry_out: Callable[[AnIntent], Awaitable[None]],
        forget: Callable[[int], Awaitable[None]],
        now_us: Callable[[], int],
    ) -> None:
        self._what = what
        self._intents = intents
        self._carry_out = carry_out
        self._forget = forget
        self._now_us = now_us

    async def run(self) -> None:
        """A background."""
        forget_at = 0.0
        while True:
            try:
                await self.sweep()
                if time.monotonic() >= forget_at:
                    await self._forget(self._now_us())
                    forget_at = time.monotonic() + FORGET_EVERY_S
            except StoreUnavailable as away:
                log.warning(f"{self._what} waits", failure=type(away).__name__)
            await asyncio.sleep(SWEEP_S)

    async def sweep(self) -> None:
        """One pass over all that are due."""
        after = ""
        while page := await self._intents.open(after=after):
            after = page[-1].id
            due = [intent for intent in page if intent.due_us <= self._now_us()]
            for begin in range(0, len(due), _TOGETHER):
                await asyncio.gather(*map(self.one, due[begin : begin + _TOGETHER]))

    async def one(self, intent: AnIntent) -> None:
        """Never raises but StoreUnavailable."""
        try:
            await self._carry_out(intent)
        except Invalid as wrong:
            log.info(f"{self._what} came to nothing", reason=wrong.type)
        except (PostlawError, BusUnavailable) as failure:
            await self._later(intent, failure)
            return
        await self._intents.end(intent.id)

    async def _later(self, intent: AnIntent, failure: Exception) -> None:
        now = self._now_us()
        if now - intent.at_us > _GIVEN_UP_US:
            why = failure.type if isinstance(failure, PostlawError) else type(failure).__name__
            log.alert(f"{self._what} was given up after a day", failure=why)
            await self._intents.end(intent.id)
            return
        await self._intents.put_off(intent, now + _AGAIN_US[min(intent.tries, len(_AGAIN_US) - 1)])
