"""How long somebody may be silent before a campaign leaves them out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from postlaw_sending.tracking.domain import Tracking

SHORTEST_DAYS: Final = 30
LONGEST_DAYS: Final = 1_095
DAY_US: Final = 24 * 3600 * 1_000_000


def wrong_rule(days: int, tracking: Tracking, *, marketing: bool) -> Mapping[str, str]:
    """What is wrong with a campaign's rule, by field. `days` 0: it has none."""
    if not days:
        return {}
    wrong: list[str] = []
    if not SHORTEST_DAYS <= days <= LONGEST_DAYS:
        wrong.append(f"give {SHORTEST_DAYS} to {LONGEST_DAYS:,}, or 0 to leave nobody out")
    if not tracking.asked:
        wrong.append("needs tracking.opens or tracking.clicks: without them nobody can give a sign")
    if not marketing:
        wrong.append("belongs to marketing alone: what a person needs to be told is told to the silent, too")
    return {"leave_out_silent_days": "; ".join(wrong)} if wrong else {}
