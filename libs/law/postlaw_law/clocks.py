"""Calendar arithmetic: months that end early, business days, midnights. No rule of any statute; those are in deadlines.py."""

from __future__ import annotations

import calendar
from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SATURDAY = 5
SHORTEST_MONTH = 28  # days


def microseconds(at: datetime) -> int:
    """Since the epoch, exactly. ValueError for a time without a zone, which names no instant."""
    if at.tzinfo is None:
        raise ValueError(f"{at.isoformat()} has no time zone")
    return (at - EPOCH) // MICROSECOND


def instant(at_us: int) -> datetime:
    return EPOCH + at_us * MICROSECOND


def local_day(at_us: int, zone: ZoneInfo) -> date:
    return datetime.fromtimestamp(at_us // 1_000_000, zone).date()


def day_ends_us(day: date, zone: ZoneInfo) -> int:
    """The first instant of the next day there, also where the clocks skip or repeat midnight."""
    following = day + DAY
    return int(datetime(following.year, following.month, following.day, tzinfo=zone).timestamp()) * 1_000_000


def add_months(day: date, months: int) -> date:
    """The day of that number, `months` later; the month's last day where it has none (Reg. 1182/71 art. 3; Interpretation Act s.28)."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if day.day <= SHORTEST_MONTH:
        return date(year, month + 1, day.day)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def is_business_day(day: date, holidays: Collection[date]) -> bool:
    return day.weekday() < SATURDAY and day not in holidays


def roll_forward(day: date, holidays: Collection[date]) -> date:
    """The day itself, or the next business day where it is none."""
    while not is_business_day(day, holidays):
        day += DAY
    return day


def nth_business_day(start: date, n: int, holidays: Collection[date], *, start_counts: bool) -> date:
    """The n-th business day, counted from `start` or from the day after it; `start` where n is 0."""
    day = start - DAY if start_counts else start
    for _ in range(n):
        day = roll_forward(day + DAY, holidays)
    return day if n else start
