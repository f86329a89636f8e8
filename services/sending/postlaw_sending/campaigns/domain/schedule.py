"""When a campaign begins by itself: at an instant, or at a time on each recipient's own clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

HOUR_US: Final = 3_600_000_000
# A launch that nobody could make in its time (the installation was away) is not made up for: yesterday's offer is none today.
LATEST_US: Final = 24 * HOUR_US
_FIRST_ZONE: Final = timezone(timedelta(hours=14))  # Pacific/Kiritimati: nowhere is any time reached earlier
_EPOCH: Final = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Schedule:
    """`at_us`: when the campaign begins, microseconds since the epoch; with a `local_time`, when that is reached first anywhere.
    `local_time`: ISO 8601 without a zone, "" for an instant. `time_zone`: of whoever names none. `by`: kind and id of who scheduled."""

    at_us: int
    local_time: str = ""
    time_zone: str = ""
    by: tuple[str, str] = ("", "")


def first_reached_us(local_time: str) -> int:
    """The instant at which any place has this time. Raises ValueError where it is none, or names a zone."""
    return _micros(_parsed(local_time).replace(tzinfo=_FIRST_ZONE))


def reached_us(local_time: str, zone: str, otherwise: str) -> int:
    """The instant at which a zone's clocks first show this time. Where they never do, since they are put forward over it, as long after
    they were put forward as it lies in the gap's course. `otherwise`: the zone where `zone` is none."""
    return _reached_us(local_time, zone if is_zone(zone) else otherwise)


@lru_cache(1024)
def is_zone(name: str) -> bool:
    """Whether it is a zone's IANA name."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name is that of a folder
        return False
    return bool(name)


@lru_cache(4096)
def _reached_us(local_time: str, zone: str) -> int:
    # fold=0 (PEP 495): the first of two; in a gap the offset from before it, so that nobody's mail comes early.
    return _micros(_parsed(local_time).replace(tzinfo=ZoneInfo(zone), fold=0))


def _parsed(local_time: str) -> datetime:
    parsed = datetime.fromisoformat(local_time)
    if parsed.tzinfo is not None:
        raise ValueError("it names a zone")
    return parsed


def _micros(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)
