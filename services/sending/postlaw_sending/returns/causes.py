"""Why a message came back, from its status code (RFC 3463) and from what receivers write beside it.

Hard: the address is no good, whoever writes to it and whenever. Soft: this message, this sender or this moment was refused. Only the
first is a reason never to write again, so whatever may be either is soft: a person taken for gone is lost for good, a dead address that
is tried twice more costs nothing.
"""

from __future__ import annotations

import re
from typing import Final

from postlaw_sending.returns.phrases import phrases
from postlaw_sending.returns.returned import Class

STATUS: Final = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.])")
_REPLY: Final = re.compile(r"(?<![\d.\-:])([45]\d\d)(?=[\s\-]|$)")

_REFUSED: Final = re.compile(r"rejected|refused|denied", re.IGNORECASE)

# Subject and detail of RFC 3463, with the codes that its registry has added since, and Exchange Online's.
_HARD: Final = frozenset({"1.1", "1.2", "1.3", "1.4", "1.6", "1.9", "1.10", "2.1", "4.4", "7.13", "7.17"})
_SOFT: Final = frozenset(
    {"1.7", "1.8", "2.2", "2.3", "2.4", "3.1", "3.2", "3.3", "3.4", "3.5", "4.2", "4.3", "4.5", "4.6", "4.7", "4.8", "4.9", "4.14"}
    | {f"6.{detail}" for detail in range(14)}
    | {f"7.{detail}" for detail in (*range(2, 13), *range(14, 17), *range(18, 31))}
)

_OF_THE_SENDER: Final = phrases("causes", "of_the_sender")
_NO_SUCH_PERSON: Final = phrases("causes", "no_such_person")
_THIS_TIME: Final = phrases("causes", "this_time")
_NO_GOOD: Final = phrases("causes", "no_good")


def class_of(status: str | None, text: str) -> Class:
    """Of a recipient to whom delivery failed. `text`: the diagnostics, or where there are none the report's prose."""
    stated = _more_exact(status, text)
    if stated is not None and stated.startswith("4"):
        return "soft"
    detail = stated.partition(".")[2] if stated else ""
    if _OF_THE_SENDER.search(text):
        return "soft"
    if _NO_SUCH_PERSON.search(text) or (detail == "4.1" and "recipient address rejected" in text.lower()):
        return "hard"  # the latter is Exchange Online's way to say that there is no such mailbox
    if detail in _SOFT or (detail not in _HARD and _THIS_TIME.search(text)):
        return "soft"
    if detail in _HARD or _NO_GOOD.search(text):
        return "hard"
    reply = _REPLY.search(text)  # a bare refusal of RCPT; of what else it may be, words tell
    return (
        "hard"
        if reply and not _REFUSED.search(text) and reply[1] in ("550", "551", "553") and detail in ("", "0.0", "1.0", "5.0")
        else "soft"
    )


def _more_exact(status: str | None, text: str) -> str | None:
    """Of the report's status and one in the receiver's own words, the one that says more; where they are of two minds, the milder."""
    written = status_in(text)
    if status is None or written is None or written == status:
        return written or status
    if status.endswith(".0.0") or (status.startswith("5") and written.startswith("4")):
        return written
    return status


def status_in(text: str) -> str | None:
    """The first failure code that a text states."""
    return next((found[0] for found in STATUS.finditer(text) if found[1] in "45"), None)
