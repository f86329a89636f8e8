"""Routes: where a recipient's mail goes, where it does not all go to one relay. People of a batch are then claimed by route."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

from postlaw_sending.messages.campaign import Recipient
from postlaw_sending.worker.connections import RoutedConnection


class Route(NamedTuple):
    """`pool`: of the addresses that it leaves from; `domain`: the recipient's, in A-labels and lower case ("": the address has none)."""

    pool: str
    domain: str


ANYWHERE = Route("", "")
ROUTED_LANES = 64  # that many people's claims are kept ready where mail goes by route

Router = Callable[[str, bool, Sequence[Recipient]], list[Route]]
"""(tenant, whether it is transactional: a single message, or a campaign that advertises nothing; its people) → a route each."""


class Unreachable(Exception):
    """Whoever waits on that route is not handed over now. `state`: the contract's, BOUNCED or DEFERRED; the text is the reason."""

    def __init__(self, state: int, reason: str) -> None:
        super().__init__(reason)
        self.state = state
        self.reason = reason


class Exchange(Protocol):
    """The way to other people's servers."""

    def most(self, route: Route) -> int:
        """How many connections it may have at one time, as far as is known."""
        ...

    def connection(self, route: Route) -> AbstractAsyncContextManager[RoutedConnection]:
        """Waits for its turn. Raises Unreachable."""
        ...
