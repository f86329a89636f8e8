"""What a mail that came to a return path is: the most exact reading that fits."""

from __future__ import annotations

from postlaw_sending.returns import arf, dsn, narrated, reading
from postlaw_sending.returns.auto_replies import is_auto_reply
from postlaw_sending.returns.returned import NOTHING, Returned


def classify(data: bytes) -> Returned:
    """Of one mail (RFC 5322), however malformed. What it says of itself is not proved by anything: who acts on it has to know by the
    address to which it came, or by a token in it, that we sent the message at all."""
    message = reading.parse(data)
    if message is None:
        return NOTHING
    parts = list(reading.parts(message))
    complaints = arf.recipients(parts)
    if complaints is not None:
        return Returned("arf", tuple(complaints))
    reported = dsn.recipients(parts) or dsn.recipients(reading.enclosed(parts) if dsn.says_so(message) else [])
    if reported:
        return Returned("dsn", tuple(reported))
    told = narrated.recipients(message, parts)  # before the next: some machines call their bounces automatic replies
    if told is not None:
        return Returned("dsn", tuple(told))
    return Returned("auto-reply") if is_auto_reply(message) else NOTHING
