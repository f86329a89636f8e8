"""How much one receiver is given at one time: more while it takes what it is given, less once it says so, nothing while it is to rest."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Final

from postlaw_common.telemetry import get_logger
from postlaw_sending.delivery.replies import CLOSING, Reply
from postlaw_sending.mx.receivers import Receiver

log = get_logger("sending.mx")

FIRST_CONNECTIONS: Final = 2
GROWS_AFTER: Final = 20  # messages taken, for each connection that is allowed
IN_A_ROW: Final = 5  # refusals for now after which a receiver is taken to mean us, and not its mailboxes
LONGEST_REST_S: Final = 3600.0
_MEANS_US: Final = (CLOSING, 450, 451)


class Resting(Exception):
    """It is left alone for now; the text is what it said."""


class NoTurn(Exception):
    """Every connection that it may have was in use for as long as one waits."""


class Shaping:
    """Of one receiver and pool, in one process. `allowed`: connections at one time."""

    def __init__(self, receiver: Receiver, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.receiver = receiver
        self.allowed = min(FIRST_CONNECTIONS, receiver.connections)
        self.open = 0
        self._monotonic = monotonic
        self._taken = 0
        self._refused = 0
        self._rests = 0
        self._fruitless = 0
        self._rest_until = 0.0
        self._said = ""
        self._freed = asyncio.Condition()

    @property
    def resting(self) -> bool:
        return self._monotonic() < self._rest_until

    @asynccontextmanager
    async def turn(self, within_s: float) -> AsyncGenerator[None]:
        """One of its connections. Raises Resting, NoTurn."""
        try:
            async with asyncio.timeout(within_s), self._freed:
                await self._freed.wait_for(lambda: self.resting or self.open < self.allowed)
                if self.resting:
                    raise Resting(self._said)
                self.open += 1
        except TimeoutError as late:
            raise NoTurn from late
        try:
            yield
        finally:
            self.open -= 1
            async with self._freed:
                self._freed.notify_all()

    def heard(self, reply: Reply) -> None:
        """The outcome of one message."""
        if reply.kind == "accepted":
            self._refused = 0
            self._taken += 1
            if self._taken >= GROWS_AFTER * self.allowed:
                self.allowed = min(self.receiver.connections, self.allowed + 1)
                self._taken = self._rests = 0
        elif reply.kind == "deferred" and reply.code:
            self._refused += 1
            meant = reply.code in _MEANS_US and self._refused >= IN_A_ROW
            if meant or reply.code == CLOSING or self.receiver.asks_for_less(reply.text):
                self.rest(f"{reply.code} {reply.text}")

    def ended(self, *, of_use: bool) -> None:
        """A connection, by its server. One that took nothing may have been ended by its one message; a second was not."""
        self._fruitless = 0 if of_use else self._fruitless + 1
        if self._fruitless > 1:
            self.rest("451 4.4.2 the server ended its connections before they were of use")

    def rest(self, said: str) -> None:
        """For longer each time in a row, and with half of the connections after that."""
        if self.resting:
            return
        self.allowed = max(1, self.allowed // 2)
        self._taken = self._refused = self._fruitless = 0
        self._said = said
        rest_s = min(LONGEST_REST_S, self.receiver.rest_s * 2**self._rests)
        self._rest_until = self._monotonic() + rest_s
        log.info("receiver_rests", site=self.receiver.site, seconds=rest_s, said=said)
        self._rests += 1
