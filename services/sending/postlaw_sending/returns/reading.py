"""Reading mail that anybody may have sent: bounded in size and depth, and never failing on what is malformed."""

from __future__ import annotations

import email
import email.errors
import email.header
import email.policy
import email.utils
import html
import re
from collections.abc import Iterable, Iterator
from email.message import Message
from typing import Final

LARGEST: Final = 1 << 20  # octets read of one mail; a report stands before the message that it returns
_DEEPEST: Final = 8
_MOST_PARTS: Final = 64
_MOST_TEXT: Final = 64_000  # characters of prose looked at
_LONGEST_HEADER: Final = 4_000  # characters looked at: the standard library takes minutes over a megabyte of encoded words
# Nothing here looks ahead to the end of a text that has no end of what it begins: a stranger's text may begin it on every line.
_UNSEEN: Final = re.compile(r"<(?:style|script|head)\b", re.I)
_SEEN_AGAIN: Final = re.compile(r"</(?:style|script|head)\s*>", re.I)
_TAG: Final = re.compile(r"<br\b[^<>]{0,500}>|</(?:p|div|tr|li|h\d|table)>|<[^>]{1,500}>", re.I)
_BREAKS: Final = re.compile(r"<(?:br|/)", re.I)


def parse(data: bytes) -> Message | None:
    """None where no mail can be made of it."""
    try:
        return email.message_from_bytes(data[:LARGEST].lstrip(b"\r\n"), policy=email.policy.compat32)
    except (RecursionError, ValueError, LookupError, TypeError, AttributeError):
        return None


def header(message: Message, name: str) -> str:
    """A header's text on one line, encoded words read (RFC 2047); empty where there is none."""
    value = message.get(name)
    return "" if value is None else _text(value)


def headers(message: Message, name: str) -> list[str]:
    return [_text(value) for value in message.get_all(name, [])]


def _text(value: object) -> str:
    raw = str(value)[:_LONGEST_HEADER]
    try:
        words = email.header.decode_header(raw)
        raw = "".join(word if isinstance(word, str) else word.decode(charset or "latin-1", "replace") for word, charset in words)
    except (ValueError, LookupError, email.errors.HeaderParseError):
        pass
    return " ".join(raw.split())


def name_and_address(value: str) -> tuple[str, str]:
    """The first of a header's value; both empty where there is none."""
    try:
        return email.utils.parseaddr(value)
    except RecursionError:  # by a comment in a comment in a comment …
        return "", ""


def address_in(value: str) -> str:
    """The first address of a header's value, in lower case; empty where there is none."""
    return name_and_address(value)[1].lower()


def addresses_in(values: Iterable[str]) -> list[str]:
    try:
        return [address for _, address in email.utils.getaddresses(list(values))]
    except RecursionError:
        return []


def parts(message: Message) -> Iterator[Message]:
    """The message and its parts, outermost first; nothing inside a message that is attached."""
    waiting = [(message, 0)]
    seen = 0
    while waiting and seen < _MOST_PARTS:
        part, depth = waiting.pop(0)
        seen += 1
        yield part
        if depth < _DEEPEST and part.get_content_maintype() == "multipart" and isinstance(payload := part.get_payload(), list):
            waiting[:0] = [(one, depth + 1) for one in payload if isinstance(one, Message)]


def enclosed(of: Iterable[Message]) -> list[Message]:
    """The parts of the mails that these enclose."""
    inside = (part.get_payload() for part in of if part.get_content_type() == "message/rfc822")
    return [part for payload in inside if isinstance(payload, list) for one in payload if isinstance(one, Message) for part in parts(one)]


def body(part: Message) -> str:
    """A part's text; of HTML, what is read of it."""
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return ""
    try:
        text = payload.decode(part.get_content_charset("utf-8"), "replace")
    except (LookupError, ValueError):
        text = payload.decode("latin-1")
    text = text[: 4 * _MOST_TEXT]
    if part.get_content_subtype() == "html":
        text = html.unescape(_TAG.sub(lambda found: "\n" if _BREAKS.match(found[0]) else " ", _shown(text)))
    return text.replace("\r\n", "\n").replace("\r", "\n")[:_MOST_TEXT]


def _shown(page: str) -> str:
    """Without what no reader sees of it."""
    pieces: list[str] = []
    at = 0
    while (begun := _UNSEEN.search(page, at)) is not None and (ended := _SEEN_AGAIN.search(page, begun.end())) is not None:
        pieces.append(page[at : begun.start()])
        at = ended.end()
    return " ".join([*pieces, page[at:]])


def fields(part: Message) -> list[list[tuple[str, str]]]:
    """Groups of fields, as message/delivery-status and message/feedback-report carry them (RFC 3464 §2.1), names in lower case.

    The standard library has read some of them as messages already; others come as text, or encoded though they must not be."""
    payload = part.get_payload()
    if isinstance(payload, list):
        text = "\n\n".join(one.as_string() if isinstance(one, Message) else str(one) for one in payload)
        if not text.strip():
            return []
    else:
        text = body(part)
    return [group for block in re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n").strip("\n")) if (group := _group(block))]


def _group(block: str) -> list[tuple[str, str]]:
    group: list[tuple[str, str]] = []
    for line in block.split("\n"):
        name, colon, value = line.partition(":")
        if line[:1] in (" ", "\t") and group:
            group[-1] = (group[-1][0], f"{group[-1][1]} {line.strip()}".strip())
        elif colon and name and " " not in name.strip():
            group.append((name.strip().lower(), value.strip()))
    return group
