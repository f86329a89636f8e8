"""Delivery status notifications (RFC 3464)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from email.message import Message
from typing import Final

from postlaw_sending.returns import reading
from postlaw_sending.returns.causes import STATUS, class_of, status_in
from postlaw_sending.returns.returned import Class, ReturnedRecipient

_TYPES: Final = ("message/delivery-status", "message/global-delivery-status")
_MOST: Final = 200  # recipients of a report; each takes milliseconds
_LONGEST: Final = 4_000  # characters of diagnostics
_DONE: Final = frozenset({"delivered", "relayed", "expanded"})  # RFC 3464 §2.3.3
_MAILBOX: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
_COMMENT: Final = re.compile(r"\([^()]*\)")
_ADDRESS: Final = re.compile(r"<([^<>\s]*@[^<>\s]*)>")


def recipients(parts: Sequence[Message]) -> list[ReturnedRecipient]:
    """Of whom the report speaks, in its order; none where there is no report, or it names nobody."""
    found: dict[tuple[str, str | None], ReturnedRecipient] = {}
    for part in parts:
        if part.get_content_type().lower() in _TYPES:
            for group in reading.fields(part)[:_MOST]:
                one = _recipient(dict(reversed(group)), parts)
                if one is not None:
                    found.setdefault((one.recipient or "", one.action), one)
    return list(found.values())


def says_so(message: Message) -> bool:
    """Whether a mail that holds no report of its own, but another mail, is one: gateways enclose whole reports."""
    return "delivery-status" in (
        str(message.get_param("report-type")).lower(),
        reading.header(message, "Subject").lower().replace(" ", "-")[:15],
    )


def _recipient(group: dict[str, str], parts: Sequence[Message]) -> ReturnedRecipient | None:
    """`group`: of each field the first. The report's own fields, which stand before the recipients', name none."""
    final, original = (address_of(group.get(name, "")) for name in ("final-recipient", "original-recipient"))
    # The final one may be a name within the receiver's own system (X.400, a mailbox); then the one that we wrote to tells more.
    named = original if original and not _MAILBOX.fullmatch(final) else final
    if not named:
        return None
    stated = group.get("status", "")
    status = found[0] if (found := STATUS.search(stated)) else None
    words = _COMMENT.sub(" ", group.get("action", "")[:_LONGEST]).split()
    action = (
        words[0].lower().strip("<>;,.") if words else ("delayed" if status and status.startswith("4") else "failed" if status else None)
    )
    if action in _DONE:
        return ReturnedRecipient(named, action, status, "none")
    diagnostics = (group.get("diagnostic-code") or (stated[found.end() :] if found else stated))[:_LONGEST]
    return ReturnedRecipient(
        named, action, status or status_in(diagnostics), _class(action, status, diagnostics, "diagnostic-code" in group, parts)
    )


def _class(action: str | None, status: str | None, diagnostics: str, quoted: bool, parts: Sequence[Message]) -> Class:
    if action == "delayed":
        return "soft"
    if not quoted or len(re.findall(r"[A-Za-z]{3,}", diagnostics)) < 2:  # says no more than the code does: what is told to people may
        diagnostics += " " + prose(parts)
    return class_of(status, diagnostics)


def prose(parts: Sequence[Message]) -> str:
    """What the report tells people: the first part with text."""
    return next((text for part in parts if part.get_content_maintype() == "text" and (text := reading.body(part)[:4000].strip())), "")


def address_of(value: str) -> str:
    """Of an address with its type (RFC 3464 §2.1.2): the address alone; whatever else stands there as it is."""
    type, semicolon, address = value.partition(";")
    text = (address if semicolon else type).strip()[:_LONGEST]
    inside = _ADDRESS.search(text)
    if inside:
        return inside[1]
    if "@" in text:
        text = _COMMENT.sub("", text).split()[0] if _COMMENT.sub("", text).split() else ""
    return text.strip("<>\"' ")
