"""How much of a kind somebody did of late: counted in memory, bounded, and said once an hour where it is too much."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

HOUR_US: Final = 3_600_000_000
_KNOWN: Final = 10_000  # of whom something is counted; the longest silent one is forgotten
_NAMED: Final = 20


@dataclass(frozen=True, slots=True)
class Limit:
    """`most` within `within_us`, wherever those begin; more is a signal. `distinct`: what counts is how many different ids there were."""

    kind: str
    most: int
    within_us: int
    what: str
    distinct: bool = False

    @property
    def piece_us(self) -> int:
        """What is counted together: a window may be longer by as much, never shorter."""
        return max(1, self.within_us // 10)


@dataclass(frozen=True, slots=True)
class Signal:
    """See IntrusionSignalled. `since_us`: microseconds since the epoch."""

    kind: str
    tenant_id: str
    who: str
    count: int
    since_us: int
    ids: tuple[str, ...]
    what: str


@dataclass(slots=True)
class _Window:
    """`counts`: how many from a time on, the oldest first, a tenth of the limit's time each; `ids`: when each was last there."""

    counts: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    ids: dict[str, int] = field(default_factory=dict[str, int])
    said_us: int | None = None  # when it was too much; until an hour later it is not said again

    def slide(self, limit: Limit, at_us: int) -> None:
        """To where it ends with `at_us`. What is far ahead of that was told by a clock that ran ahead, and must silence nobody."""
        since_us, until_us = at_us - limit.within_us - limit.piece_us, at_us + HOUR_US
        self.counts = [one for one in self.counts if since_us < one[0] <= until_us]
        self.ids = {id: last_us for id, last_us in self.ids.items() if at_us - limit.within_us <= last_us <= until_us}
        if self.said_us is not None and self.said_us > until_us:
            self.said_us = None

    def add(self, limit: Limit, count: int, ids: Iterable[str], at_us: int) -> None:
        if self.counts and at_us - self.counts[-1][0] < limit.piece_us:
            since_us, before = self.counts.pop()
            self.counts.append((since_us, before + count))
        else:
            self.counts.append((at_us, count))
        for id in ids:
            self.ids.pop(id, None)
            self.ids[id] = at_us
            if len(self.ids) > max(_NAMED, limit.most + 1):
                del self.ids[next(iter(self.ids))]


class Windows:
    def __init__(self) -> None:
        self._windows: OrderedDict[tuple[str, str], _Window] = OrderedDict()

    def add(self, limit: Limit, tenant_id: str, who: str, count: int, ids: Iterable[str], at_us: int) -> Signal | None:
        """`who` did it `count` times more; the signal, where it is too much now."""
        window = self._windows.pop((limit.kind, who), None) or _Window()
        self._windows[limit.kind, who] = window
        if len(self._windows) > _KNOWN:
            self._windows.popitem(last=False)
        window.slide(limit, at_us)
        window.add(limit, count, ids, at_us)
        found = len(window.ids) if limit.distinct else sum(count for _, count in window.counts)
        if found <= limit.most or (window.said_us is not None and at_us - window.said_us < HOUR_US):
            return None
        window.said_us = at_us
        return Signal(limit.kind, tenant_id, who, found, window.counts[0][0], tuple(window.ids)[:_NAMED], limit.what)
