"""Service assembly: what a service hands to whatever runs it, alone or with all others in one process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from postlaw_common.bus import Topic
from postlaw_common.store import CollectionSpec

if TYPE_CHECKING:
    from postlaw_common.consumers import Consumer

Start = Callable[[], Awaitable[None]]
Stop = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Servicer:
    """A gRPC servicer and the generated function that adds it: `add_XServicer_to_server`; `name` is its full proto name."""

    name: str
    add: Callable[[Any, Any], None]
    servicer: object


@dataclass(frozen=True, slots=True)
class Background:
    """A coroutine that runs for as long as the service does; it ends when cancelled. One that raises stops the process."""

    name: str
    run: Callable[[], Awaitable[None]]


@dataclass(slots=True)
class Service:
    """What `build(platform, settings)` returns. Nothing is open yet; the runner starts and stops it in order.

    Start: databases → topics → `on_start` → gRPC server → consumers and backgrounds → ready.
    Stop: not ready → gRPC and HTTP drain → backgrounds cancelled → consumers drained → `on_stop` → databases.
    """

    name: str
    databases: dict[str, Sequence[CollectionSpec]] = field(default_factory=dict[str, Sequence[CollectionSpec]])
    topics: Sequence[Topic] = ()
    servicers: Sequence[Servicer] = ()
    consumers: Sequence[Consumer] = ()
    backgrounds: Sequence[Background] = ()
    on_start: Start | None = None
    on_stop: Stop | None = None
    http_app: Any = None  # ASGI; only the gateway's (and the development inbox) has one
