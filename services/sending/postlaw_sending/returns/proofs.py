"""What in a mail to one of our mailboxes shows that it is about a message of ours: its return path, or the unsubscribe token in it.

From and To prove nothing: anybody writes them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from email.message import Message
from typing import Final

from postlaw_sending.messages.return_path import COMPLAINTS, SentMessage
from postlaw_sending.returns import arf, reading
from postlaw_sending.returns.phrases import phrases

_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{60,600}")  # consent's: some 230 characters, and it alone can tell a true one
_LINK: Final = re.compile(r"/u/([A-Za-z0-9_-]{60,600})>")
_UNSUBSCRIBE: Final = phrases("replies", "unsubscribe", before=r"\A\W*(?:(?:re|aw|sv|tr|r) *: *)?")
_END: Final = re.compile(r"\W*\Z")

Proof = SentMessage | str
"""The message, or a token."""


def proof_in(mailbox: str, content: bytes, read: Callable[[str], SentMessage | None]) -> Proof | None:
    """Of a mail to a mailbox of ours; None where nothing in it could be one. `read`: ReturnPaths'."""
    message = reading.parse(content)
    if message is None:
        return None
    if mailbox != COMPLAINTS:
        found = _TOKEN.search("".join(reading.header(message, "Subject").split()))  # a program may have folded it anywhere
        return found[0] if found else None
    parts = list(reading.parts(message))
    if (sent := next(filter(None, map(read, arf.mail_from(parts))), None)) is not None:
        return sent
    about = arf.original(parts)
    link = _LINK.search("".join(reading.header(about, "List-Unsubscribe").split())) if about else None
    return link[1] if link else None


def says_unsubscribe(content: bytes) -> bool:
    """Whether a person's reply says nothing but that, in its subject or in the first line of its text."""
    message = reading.parse(content)
    return message is not None and any(map(_is_wish, (reading.header(message, "Subject"), _first_line(message))))


def _is_wish(text: str) -> bool:
    found = _UNSUBSCRIBE.match(text)
    return found is not None and _END.match(text, found.end()) is not None


def _first_line(message: Message) -> str:
    for part in reading.parts(message):
        if part.get_content_maintype() == "text":
            return next((line for line in reading.body(part).splitlines() if line.strip()), "")
    return ""
