"""Keeps a worker's connections to its relay: one lane, one connection, made again with back-off when it ends."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable

from postlaw_sending.delivery.connection import Connection
from postlaw_sending.delivery.opening import CannotConnect, connect
from postlaw_sending.delivery.relay import Relay

_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 30.0

Connect = Callable[[Relay], Awaitable[Connection]]
Sleep = Callable[[float], Awaitable[None]]


class Lane:
    """One user at a time. `trouble`: why there is no connection now, empty while there is one."""

    def __init__(self, relay: Relay, connect: Connect = connect, sleep: Sleep = asyncio.sleep) -> None:
        self.trouble = ""
        self._relay = relay
        self._connect = connect
        self._sleep = sleep
        self._connection: Connection | None = None
        self._fruitless = 0  # connections in a row that failed, or ended before any message was accepted

    @property
    def current(self) -> Connection | None:
        """The live connection, if there is one now."""
        return self._connection if self._connection is not None and self._connection.alive else None

    async def connection(self) -> Connection:
        """A live connection; waits for as long as the relay cannot be reached. The wait doubles up to 30 s, with jitter, and starts
        over only after a connection on which a message was accepted: a server that greets and hangs up is not hammered."""
        while True:
            connection = self._connection
            if connection is not None:
                if connection.alive:
                    return connection
                self._fruitless = 0 if connection.accepted else self._fruitless + 1
                self._connection = None
            if self._fruitless:
                longest = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** min(self._fruitless - 1, 20))
                await self._sleep(longest * (0.5 + secrets.randbelow(1000) / 2000))
            try:
                self._connection = await self._connect(self._relay)
                self.trouble = ""
            except CannotConnect as error:
                self.trouble = str(error)
                self._fruitless += 1

    def reset(self) -> None:
        if self._connection is not None:
            self._connection.reset()

    async def close(self) -> None:
        """After this, no `connection()` any more."""
        if self._connection is not None:
            await self._connection.close()


class Lanes:
    """All lanes of one worker: `relay.connections` of them."""

    def __init__(self, relay: Relay, connect: Connect = connect) -> None:
        self.lanes = [Lane(relay, connect) for _ in range(relay.connections)]

    @property
    def under_way(self) -> int:
        return sum(lane.current.under_way for lane in self.lanes if lane.current is not None)

    @property
    def trouble(self) -> str:
        """Why a lane has no connection; empty where none is in trouble."""
        return next((lane.trouble for lane in self.lanes if lane.trouble), "")

    def reset(self) -> None:
        """Every connection ends with RST, and every hand-off under way is reported, before this returns."""
        for lane in self.lanes:
            lane.reset()

    async def close(self) -> None:
        await asyncio.gather(*(lane.close() for lane in self.lanes))
