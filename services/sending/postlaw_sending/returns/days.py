"""Days, as documents name them so that old ones are found."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def day_of(at_us: int, days_before: int = 0) -> str:
    """The date in UTC, ISO 8601. `at_us`: microseconds since the epoch."""
    return (datetime.fromtimestamp(at_us / 1e6, UTC) - timedelta(days=days_before)).date().isoformat()
