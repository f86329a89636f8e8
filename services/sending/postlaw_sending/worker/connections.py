"""What the worker needs of a connection, whoever opens it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from postlaw_sending.delivery.replies import Reply


class Connection(Protocol):
    """What a lane needs of delivery's connection."""

    @property
    def transport(self) -> int: ...
    @property
    def has_room(self) -> bool: ...
    async def room(self) -> bool: ...
    def cork(self) -> None: ...
    def uncork(self) -> None: ...
    def cut_off(self) -> None: ...
    def hand_off(
        self, sender: bytes, recipient: bytes, message: bytes, done: Callable[[Reply], None], may_go_on: Callable[[], bool]
    ) -> None: ...


class RoutedConnection(Connection, Protocol):
    """A connection of a route, for one lane at a time."""

    @property
    def alive(self) -> bool: ...
    async def settled(self) -> None: ...
