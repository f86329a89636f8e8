"""When does a holder count as lost? When its renewal count has not moved for one lease time on the observer's own clock.

Time decides only this; whatever follows rests on the epoch (design §3)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from postlaw_sending.stop.holding import Holding

LEASE_S = 3.0
RENEW_EVERY_S = 1.0


class Observer:
    """Remembers when each (owner, epoch, renewals) was first seen unchanged."""

    def __init__(self, lease_s: float = LEASE_S, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._lease_s = lease_s
        self._monotonic = monotonic
        self._seen: dict[int, tuple[tuple[str | None, int, int], float]] = {}

    def observe(self, holdings: Iterable[Holding]) -> None:
        now = self._monotonic()
        for holding in holdings:
            mark = (holding.owner, holding.epoch, holding.renewals)
            seen = self._seen.get(holding.partition)
            if seen is None or seen[0] != mark:
                self._seen[holding.partition] = (mark, now)

    def is_lost(self, holding: Holding) -> bool:
        """Whether this very holding (not an older one) has stood still for a lease time. An unowned one has nobody to lose."""
        seen = self._seen.get(holding.partition)
        if holding.owner is None or seen is None or seen[0] != (holding.owner, holding.epoch, holding.renewals):
            return False
        return self._monotonic() - seen[1] >= self._lease_s
