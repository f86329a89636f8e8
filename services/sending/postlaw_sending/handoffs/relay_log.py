"""Postfix's log, read for the messages of ours that it took: the queue manager's `from=<…>` line names each once, by its return path.

    Nov 26 19:12:01 mx postfix/qmgr[71]: 4F1A2B3C: from=<b+…@bounce.example>, size=2310, nrcpt=1 (queue active)
    2026-11-26T19:12:01.123456+00:00 mx postfix/smtp[80]: 4F1A2B3C: to=<…>, …, dsn=2.0.0, status=sent (250 2.0.0 Ok)

Whom a message goes to is not read: the return path proves itself, and an address would be personal data.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

_LINE: Final = re.compile(
    rb"(?P<at>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d) "
    rb".*?postfix[^ /]*/(?:[^ ]*/)?(?P<by>[a-z]+)\[\d+\]: (?P<queue_id>[0-9A-Za-z]{5,20}): (?P<said>.*)"
)
_FROM: Final = re.compile(rb"from=<([^>]+)>")
_STATUS: Final = re.compile(rb"status=([a-z]+)")
_DAY: Final = timedelta(days=1)


class Accepted(NamedTuple):
    """The relay took a message. `at_us`: when its queue manager first had it; 0 where the line's time cannot be read."""

    queue_id: str
    sender: str
    at_us: int


class Status(NamedTuple):
    """What became of it then: sent, deferred, bounced, expired."""

    queue_id: str
    status: str


def lines_in(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Without their ends. One that is longer than 64 kB is no line of Postfix's, and is cut."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole
        rest = rest[:65_536]
    if rest:
        yield rest


def said_in(line: bytes, now: datetime) -> Accepted | Status | None:
    """None for every other line. `now`: a line without a year is of the last twelve months, in UTC."""
    found = _LINE.match(line)
    if found is None:
        return None
    queue_id = found["queue_id"].decode()
    if found["by"] == b"qmgr":
        sender = _FROM.match(found["said"])
        return Accepted(queue_id, sender[1].decode("ascii", "replace"), _micros(found["at"].decode(), now)) if sender else None
    status = _STATUS.search(found["said"])
    return Status(queue_id, status[1].decode()) if status else None


def _micros(text: str, now: datetime) -> int:
    try:
        if text[0].isdigit():
            return int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1e6)
        at = datetime.strptime(f"{now.year} {text}", "%Y %b %d %H:%M:%S").replace(tzinfo=UTC)
        return int((at if at <= now + _DAY else at.replace(year=now.year - 1)).timestamp() * 1e6)
    except ValueError:
        return 0
