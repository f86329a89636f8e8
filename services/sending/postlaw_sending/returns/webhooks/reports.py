"""A provider's report, as notices: of which message of ours, and what became of it.

The message is told by our return path, or by the Message-ID that we gave it, which the provider's signature vouches for.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from postlaw_sending.messages.return_path import SentMessage
from postlaw_sending.returns.causes import class_of, status_in
from postlaw_sending.returns.notices import Notice, Source
from postlaw_sending.returns.returned import Class

Read = Callable[[str], SentMessage | None]
_OURS: Final = re.compile(r"<?([a-z0-9]{26})(\.[a-z0-9]{0,26})?@[^\s<>@]+>?")
_RETURN_PATH: Final = re.compile(r"[bs]\+[a-z0-9]{62}@[A-Za-z0-9.-]+", re.IGNORECASE)
_MESSAGE_ID: Final = re.compile(r"^Message-ID:\s*(<[^<>\s]+>)", re.IGNORECASE | re.MULTILINE)
_MOST: Final = 1_000  # of one report


def notices_in(source: Source, report: Any, read: Read) -> list[Notice]:
    """`report`: its JSON. What is about no message of ours, or says neither bounce nor complaint, is left out."""
    told = {"ses": _ses, "sendgrid": _sendgrid, "postmark": _postmark, "mailgun": _mailgun}[source]
    found: list[Notice] = []
    for id, names, address, complaint, status, text, soft in told(report):
        sent = next((one for one in (_sent(name, read) for name in names) if one is not None), None)
        if sent is not None and len(found) < _MOST:
            cls: Class = "complaint" if complaint else "soft" if soft else class_of(status or status_in(text), text)
            unique = hashlib.sha256("\0".join([id, address, cls]).encode()).hexdigest()
            found.append(Notice(source, unique, sent, address, "arf" if complaint else "dsn", cls, status or status_in(text) or ""))
    return found


_Told = Iterator[tuple[str, Iterable[str], str, bool, str, str, bool]]
"""Id, names of the message, recipient, whether a complaint, status, words, whether the provider itself says that it is for now."""


def _sent(name: str, read: Read) -> SentMessage | None:
    if (sent := read(name)) is not None:
        return sent
    found = _OURS.fullmatch(name.strip())
    return SentMessage(f"{'cmp' if found[2] else 'sgl'}_{found[1]}", b"") if found else None


def _ses(report: Any) -> _Told:
    said = _map(report)
    mail, kind = _map(said.get("mail")), said.get("notificationType", said.get("eventType"))
    names = [_text(mail, "source"), _text(_map(mail.get("commonHeaders")), "messageId")]
    bounce, complaint = _map(said.get("bounce")), _map(said.get("complaint"))
    if kind == "Bounce":
        for one in map(_map, _list(bounce.get("bouncedRecipients"))):
            soft = bounce.get("bounceType") != "Permanent"
            yield (
                _text(bounce, "feedbackId"),
                names,
                _text(one, "emailAddress"),
                False,
                _text(one, "status"),
                _text(one, "diagnosticCode"),
                soft,
            )
    elif kind == "Complaint" and complaint.get("complaintFeedbackType", "abuse") != "not-spam":
        for one in map(_map, _list(complaint.get("complainedRecipients"))):
            yield _text(complaint, "feedbackId"), names, _text(one, "emailAddress"), True, "", "", False


def _sendgrid(report: Any) -> _Told:
    for event in map(_map, _list(report)):
        if event.get("event") in ("bounce", "spamreport"):
            complaint, soft = event["event"] == "spamreport", event.get("type") == "blocked"
            status, reason = _text(event, "status"), _text(event, "reason")
            yield _text(event, "sg_event_id"), [_text(event, "smtp-id")], _text(event, "email"), complaint, status, reason, soft


def _mailgun(report: Any) -> _Told:
    event = _map(_map(report).get("event-data"))
    if event.get("event") in ("failed", "complained"):
        names = [
            _text(_map(event.get("envelope")), "sender"),
            _text(_map(_map(event.get("message")).get("headers")), "message-id"),
        ]
        status = _map(event.get("delivery-status"))
        words, enhanced = f"{_text(status, 'message')} {_text(status, 'description')}", _text(status, "enhanced-code")
        soft = event.get("severity") != "permanent"
        yield _text(event, "id"), names, _text(event, "recipient"), event["event"] == "complained", enhanced, words, soft


def _postmark(report: Any) -> _Told:
    """Its reports name a message by their own id alone; ours stands in what they enclose (*include bounce content* must be on)."""
    said = _map(report)
    if said.get("RecordType") in ("Bounce", "SpamComplaint"):
        content = _text(said, "Content")
        names = [*_RETURN_PATH.findall(content), *_MESSAGE_ID.findall(content)]
        complaint = said["RecordType"] == "SpamComplaint"
        soft = said.get("Type") in ("SoftBounce", "Transient", "DnsError", "SpamNotification", "Blocked", "AutoResponder")
        yield str(said.get("ID", "")), names, _text(said, "Email"), complaint, "", _text(said, "Details"), soft


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Mapping[str, Any], name: str) -> str:
    found = value.get(name, "")
    return found if isinstance(found, str) else ""
