"""When does a holder count as lost? When its renewal count has not moved for one lease time on the observer's own clock.

Time decides only this; whatever follows rests on the epoch (design §3)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from postlaw_sending.stop.holding import Holding

LEASE_S = 3.0
RENEW_EVERY_S = 1.0


class Observer:
    """Remembers since when each (owner, epoch, renewals) has been seen unchanged.

    Whoever could not look for a lease time has seen nothing stand still: after an outage of the store all begin anew, else each
    would take the others' partitions before they could renew them."""

    def __init__(self, lease_s: float = LEASE_S, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._lease_s = lease_s
        self._monotonic = monotonic
        self._seen: dict[int, _Seen] = {}

    def observe(self, holdings: Iterable[Holding]) -> None:
        now = self._monotonic()
        for holding in holdings:
            mark = _mark(holding)
            seen = self._seen.get(holding.partition)
            if seen is None or seen.mark != mark or now - seen.last >= self._lease_s:
                self._seen[holding.partition] = _Seen(mark, now, now)
            else:
                seen.last = now

    def is_lost(self, holding: Holding) -> bool:
        """Whether this very holding (not an older one) has stood still for a lease time. An unowned one has nobody to lose."""
        seen = self._seen.get(holding.partition)
        if holding.owner is None or seen is None or seen.mark != _mark(holding):
            return False
        return seen.last - seen.since >= self._lease_s


_Mark = tuple[str | None, int, int]


@dataclass(slots=True)
class _Seen:
    """`since` and `last`: when it was first and last looked at, as `mark`."""

    mark: _Mark
    since: float
    last: float


def _mark(holding: Holding) -> _Mark:
    return holding.owner, holding.epoch, holding.renewals
