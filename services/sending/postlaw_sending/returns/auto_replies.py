"""Automatic replies (RFC 3834): vacation notices and acknowledgements. People's programs send them; they say nothing of delivery."""

from __future__ import annotations

from email.message import Message
from typing import Final

from postlaw_sending.returns.phrases import phrases
from postlaw_sending.returns.reading import header

_HEADERS: Final = ("X-Autoreply", "X-Autorespond", "X-Autoresponder", "X-AutoReply-From", "X-Mail-Autoreply", "X-Vacation-Message")
_PRECEDENCE: Final = frozenset({"auto_reply", "auto-reply", "autoreply"})
_SUBJECT: Final = phrases("auto_replies", "subjects", before=r"\A\W*(?:re: *)?")


def is_auto_reply(message: Message) -> bool:
    sent = header(message, "Auto-Submitted").lower().split(";")[0].strip()
    if sent.startswith("auto-replied") or any(header(message, name) not in ("", "no") for name in _HEADERS):
        return True
    if header(message, "Precedence").lower() in _PRECEDENCE or header(message, "X-Precedence").lower() in _PRECEDENCE:
        return True
    return bool(_SUBJECT.match(header(message, "Subject")))
