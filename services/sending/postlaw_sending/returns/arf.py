"""Complaints (RFC 5965): somebody called a message spam, and their provider passes it on."""

from __future__ import annotations

from collections.abc import Sequence
from email.message import Message
from typing import Final

from postlaw_sending.returns import reading
from postlaw_sending.returns.returned import ReturnedRecipient

_NO_COMPLAINTS: Final = frozenset({"not-spam", "auth-failure", "dmarc"})  # RFC 6430, RFC 6591
_RCPT: Final = ("original-rcpt-to", "removal-recipient", "x-original-rcpt-to")
_REDACTED: Final = ("redacted", "undisclosed")


def recipients(parts: Sequence[Message]) -> list[ReturnedRecipient] | None:
    """Who complained; one without an address where that was redacted. None where this is no such report."""
    report = next((part for part in parts if part.get_content_type().lower() == "message/feedback-report"), None)
    if report is None:
        return None
    fields = [field for group in reading.fields(report) for field in group]
    kind = next((value.lower().split(";")[0].strip() for name, value in fields if name == "feedback-type"), "")
    cls = "none" if kind in _NO_COMPLAINTS else "complaint"
    named = [_address(value) for wanted in _RCPT for name, value in fields if name == wanted]
    known = list(dict.fromkeys(filter(None, named))) or _addressees(parts)
    return [ReturnedRecipient(address, None, None, cls) for address in known or [None]]


def _address(value: str) -> str:
    return value.partition(";")[2].strip(" <>") if value.lower().startswith("rfc822;") else value.strip(" <>")


def _addressees(parts: Sequence[Message]) -> list[str]:
    """Whom the message that is complained about was for."""
    about = original(parts)
    named = reading.addresses_in(reading.headers(about, "to")) if about else ()
    return [address for address in named if "@" in address and not address.lower().startswith(_REDACTED)]


def original(parts: Sequence[Message]) -> Message | None:
    """The message that is complained about, or its headers."""
    for part in parts:
        if part.get_content_type().lower() in ("message/rfc822", "text/rfc822-headers", "message/rfc822-headers"):
            payload = part.get_payload()
            found = payload[0] if isinstance(payload, list) and payload else reading.parse(reading.body(part).encode())
            if isinstance(found, Message):
                return found
    return None


def mail_from(parts: Sequence[Message]) -> list[str]:
    """The return path of that message, by every field that may name it (RFC 5965 §3.2)."""
    report = next((part for part in parts if part.get_content_type().lower() == "message/feedback-report"), None)
    fields = [field for group in reading.fields(report) for field in group] if report else []
    about = original(parts)
    return [_address(value) for name, value in fields if name == "original-mail-from"] + [
        _address(value) for value in (reading.headers(about, "return-path") if about else ())
    ]
