"""Exim's main log (its specification, chapter "Log files"): the line with `<=` names each message once, by its own id.

    2026-11-26 19:12:01 1rZ2Xy-00000003aBC-0DEf <= b+…@bounce.example H=app (app) [10.0.0.7] P=esmtp S=2310 id=…
    2026-11-26 19:12:02 1rZ2Xy-00000003aBC-0DEf => ada@example.com R=dnslookup T=remote_smtp H=mx.example [192.0.2.1] C="250 OK"

`->` is a further recipient of the same delivery, `**` one that failed for good, `==` one that is put off. Ids of before Exim 4.97 are
shorter. Times are the relay's own, without a zone unless `log_timezone` is set: such a relay's clock must be in UTC.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from postlaw_sending.handoffs.relay_log import Accepted, Status, micros_of

_LINE: Final = re.compile(
    rb"(?:.{1,200}?\bexim[^ ]*: )?(?P<at>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?)(?: (?P<zone>[+-]\d{4}))? (?:\[\d+\] )?"
    rb"(?P<id>[0-9A-Za-z]{6}-(?:[0-9A-Za-z]{6}-[0-9A-Za-z]{2}|[0-9A-Za-z]{11}-[0-9A-Za-z]{4})) (?P<flag><=|=>|->|\*\*|==) (?P<said>[^ ]+)"
)
_STATUS: Final = {b"=>": "sent", b"->": "sent", b"**": "bounced", b"==": "deferred"}


def said_by_exim(line: bytes) -> Accepted | Status | None:
    """None for every other line."""
    found = _LINE.match(line)
    if found is None:
        return None
    id = found["id"].decode()
    if found["flag"] != b"<=":
        return Status(id, _STATUS[found["flag"]])
    try:
        at_us = micros_of(datetime.fromisoformat((found["at"] + (found["zone"] or b"")).decode()))
    except ValueError:
        at_us = 0
    return Accepted(id, found["said"].decode("ascii", "replace"), at_us)
