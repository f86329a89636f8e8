"""Days, as documents name them so that old ones are found."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from postlaw_common.store import Collection
from postlaw_common.store.bulk import bulk_delete


def day_of(at_us: int, days_before: int = 0) -> str:
    """The date in UTC, ISO 8601. `at_us`: microseconds since the epoch."""
    return (datetime.fromtimestamp(at_us / 1e6, UTC) - timedelta(days=days_before)).date().isoformat()


def is_recent(day: str, at_us: int, within: int) -> bool:
    """Whether it lies in so many days up to this one, or is the next, as midnight passes between two mails. What a clock that was ahead
    has left behind counts as little as what is old."""
    return day_of(at_us, within) < day <= day_of(at_us, -1)


async def forget_old(collection: Collection, field: str, now_us: int, kept_days: int) -> int:
    """Removes the documents whose day is more than that ago, of twice that time, in case nobody came by then; returns how many."""
    removed = 0
    for days in range(kept_days + 1, 2 * kept_days + 1):
        removed += await bulk_delete(collection, field, day_of(now_us, days))
    return removed
