"""A relay's log, read for the messages of ours that it took, each by the return path that it had. What each of them writes is told in its
module (postfix_log.py, exim_log.py); a file may hold lines of several, and of anything else.

Whom a message goes to is not read: the return path proves itself, and an address would be personal data.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

_DAY: Final = timedelta(days=1)


class Accepted(NamedTuple):
    """The relay took a message. `at_us`: when; 0 where the line's time cannot be read."""

    queue_id: str
    sender: str
    at_us: int


class Status(NamedTuple):
    """What became of it then: sent, deferred, bounced, expired."""

    queue_id: str
    status: str


def lines_in(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Without their ends. One that is longer than 64 kB is no line of a relay's, and is cut."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole
        rest = rest[:65_536]
    if rest:
        yield rest


def micros_of(at: datetime) -> int:
    """Of a time that a log says; UTC where it names no zone."""
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1e6)


def micros_without_year(text: str, now: datetime) -> int:
    """`text`: as syslog writes it, "Nov 26 19:12:01", within the twelve months before `now`. Raises ValueError."""
    at = datetime.strptime(f"{now.year} {text}", "%Y %b %d %H:%M:%S").replace(tzinfo=UTC)
    return micros_of(at if at <= now + _DAY else at.replace(year=now.year - 1))
