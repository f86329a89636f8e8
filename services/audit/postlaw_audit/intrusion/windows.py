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
    """`most` within `within_us`; more is a signal. `distinct`: what counts is how many different ids there were."""

    kind: str
    most: int
    within_us: int
    what: str
    distinct: bool = False


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
    since_us: int
    count: int = 0
    ids: dict[str, None] = field(default_factory=dict[str, None])
    said_us: int | None = None  # when it was too much; until an hour later it is not said again


class Windows:
    def __init__(self) -> None:
        self._windows: OrderedDict[tuple[str, str], _Window] = OrderedDict()

    def add(self, limit: Limit, tenant_id: str, who: str, count: int, ids: Iterable[str], at_us: int) -> Signal | None:
        """`who` did it `count` times more; the signal, where it is too much now."""
        window = self._windows.pop((limit.kind, who), None)
        if window is None or at_us - window.since_us > limit.within_us:
            window = _Window(at_us, said_us=window.said_us if window else None)
        self._windows[limit.kind, who] = window
        if len(self._windows) > _KNOWN:
            self._windows.popitem(last=False)
        window.count += count
        for id in ids:
            if len(window.ids) < max(_NAMED, limit.most + 1):
                window.ids[id] = None
        found = len(window.ids) if limit.distinct else window.count
        if found <= limit.most or (window.said_us is not None and at_us - window.said_us < HOUR_US):
            return None
        window.said_us = at_us
        return Signal(limit.kind, tenant_id, who, found, window.since_us, tuple(window.ids)[:_NAMED], limit.what)
