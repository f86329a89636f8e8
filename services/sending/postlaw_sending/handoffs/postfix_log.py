"""Postfix's log: the queue manager's `from=<…>` line names each message once.

Nov 26 19:12:01 mx postfix/qmgr[71]: 4F1A2B3C: from=<b+…@bounce.example>, size=2310, nrcpt=1 (queue active)
2026-11-26T19:12:01.123456+00:00 mx postfix/smtp[80]: 4F1A2B3C: to=<…>, …, dsn=2.0.0, status=sent (250 2.0.0 Ok)
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from postlaw_sending.handoffs.relay_log import Accepted, Status, micros_of, micros_without_year

_LINE: Final = re.compile(
    rb"(?P<at>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d) "
    rb".*?postfix[^ /]*/(?:[^ ]*/)?(?P<by>[a-z]+)\[\d+\]: (?P<queue_id>[0-9A-Za-z]{5,20}): (?P<said>.*)"
)
_FROM: Final = re.compile(rb"from=<([^>]+)>")
_STATUS: Final = re.compile(rb"status=([a-z]+)")


def said_by_postfix(line: bytes, now: datetime) -> Accepted | Status | None:
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
            return micros_of(datetime.fromisoformat(text.replace("Z", "+00:00")))
        return micros_without_year(text, now)
    except ValueError:
        return 0
