"""Events as counts: pure, so that counting again from the bus comes to the same.

A cell's name is its dimension, its key and its figure, with bars between: `t||sent` of all, `h|1790000000|sent` of an hour (its
beginning in seconds), `d|gmail|bounced`, `l|3|clicks`, `r|SUPPRESSED|refused`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from postlaw_sending.campaigns.domain.recipients import Settled, State, count, settled_state

Cells = Counter[str]

HOUR_US: Final = 3_600_000_000
STATES: Final = {
    State.SENT: "sent",
    State.REFUSED: "refused",
    State.FAILED: "failed",
    State.BOUNCED: "bounced",
    State.EXPIRED: "expired",
    State.UNKNOWN: "unknown",
}


def of_batch(settled: Settled, destinations: Iterable[tuple[str, int, int]]) -> Cells:
    """`destinations`: (whose customers, state, how many). All that a retry carries again is left to it."""
    cells: Cells = Counter()
    tally = count(settled)
    for figure in STATES.values():
        _add(cells, figure, settled.started_at_us, getattr(tally, figure))
    for reason, number in tally.refused_by_reason.items():
        cells[f"r|{reason}|refused"] += number
    for destination, state, number in destinations:
        figure = STATES.get(settled_state(state, "", settled.attempt))
        if figure is not None:
            cells[f"d|{destination}|{figure}"] += number
    return cells


def of_one(figure: str, at_us: int, link: int | None = None) -> Cells:
    """One thing that happened."""
    cells: Cells = Counter()
    _add(cells, figure, at_us, 1)
    if link is not None:
        cells[f"l|{link}|{figure}"] += 1
    return cells


def _add(cells: Cells, figure: str, at_us: int, number: int) -> None:
    if number:
        cells[f"t||{figure}"] += number
        cells[f"h|{at_us // HOUR_US * 3600}|{figure}"] += number
