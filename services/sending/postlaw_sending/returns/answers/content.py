"""An answer read: who wrote it, whether a person did, and its words so that they may go on in a message of ours.

Of its headers only those of RFC 2045 go along: all others are of a message that has arrived (RFC 5321 §6.4 lets nobody else repair them),
and some would speak for whoever wrote them.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from email import policy
from email.errors import MessageError
from email.generator import BytesGenerator
from email.message import Message
from typing import Final

from postlaw_sending.delivery.paths import BadAddress, path
from postlaw_sending.messages.answer import PASSED_ON
from postlaw_sending.messages.parts import LINE_LIMIT
from postlaw_sending.returns import reading
from postlaw_sending.returns.classify import classify

_MOST_HOPS: Final = 100  # RFC 5321 §6.3
_GOES_ALONG: Final = frozenset({"content-type", "content-transfer-encoding", "content-language"})
_OF_MACHINES: Final = frozenset({"bulk", "list", "junk"})
_SEVEN_BITS: Final = policy.compat32.clone(linesep="\r\n", cte_type="7bit", max_line_length=78)
_LOST: Final = "[What was attached could not be passed on.]"
_LONGEST: Final = 200  # of a name or a subject that is passed on


@dataclass(frozen=True, slots=True)
class Words:
    """`name`: who wrote it, by name, else by address, else somebody. `reply_to`: "" where they gave no address that fits in a header.
    `content`: see messages.answer.Answer."""

    name: str
    reply_to: str
    subject: str
    content: bytes


def circles(content: bytes) -> bool:
    """Whether it is a message that we passed on before, or one that has gone on for ever (RFC 5321 §6.3)."""
    message = reading.parse(content)
    return message is not None and (message.get(PASSED_ON) is not None or len(message.get_all("Received", [])) > _MOST_HOPS)


def is_of_a_machine(content: bytes) -> bool:
    """RFC 3834 §2: what is automatic is answered by nothing automatic. What no mail can be made of is nobody's answer either."""
    message = reading.parse(content)
    if message is None or classify(content).kind != "none":
        return True
    submitted = reading.header(message, "Auto-Submitted").lower().partition(";")[0].strip()
    return submitted not in ("", "no") or reading.header(message, "Precedence").lower() in _OF_MACHINES


def words_of(content: bytes) -> Words:
    """Of an answer, however malformed."""
    message = reading.parse(content) or Message()
    name, address = reading.name_and_address(reading.header(message, "From"))
    answered_at = _ascii(reading.name_and_address(reading.header(message, "Reply-To"))[1]) or _ascii(address)
    return Words(
        name=(name or address or "Somebody")[:_LONGEST],
        reply_to=answered_at,
        subject=reading.header(message, "Subject")[:_LONGEST] or "(no subject)",
        content=_as_it_came(content) or _text_alone(message),
    )


def _ascii(address: str) -> str:
    """As it may stand in a header without RFC 6532."""
    try:
        made, needs_utf8 = path(address.encode())
    except (BadAddress, UnicodeError):
        return ""
    return "" if needs_utf8 else made.decode()


def _as_it_came(content: bytes) -> bytes | None:
    """In 7 bits, whatever the servers on the way may offer (RFC 6152 §3); None where it cannot be."""
    message = reading.parse(content)
    if message is None:
        return None
    for name in {name for name, _ in message.items() if name.lower() not in _GOES_ALONG}:
        del message[name]
    made = io.BytesIO()
    try:
        BytesGenerator(made, mangle_from_=False, policy=_SEVEN_BITS).flatten(message)
    except (MessageError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None  # the standard library's generator trusts what its parser let pass
    found = made.getvalue()
    lines = found.split(b"\r\n")
    proper = found.isascii() and b"\0" not in found and not any(b"\r" in line or b"\n" in line or len(line) > LINE_LIMIT for line in lines)
    # A vertical tab or a form feed in a header ends a line for the generator: what follows would be a header of ours.
    head, _, _ = (b"\r\n" + found).partition(b"\r\n\r\n")
    names = [line.partition(b":")[0].decode("latin-1").lower() for line in head.split(b"\r\n") if line and line[:1] not in (b" ", b"\t")]
    proper = proper and _GOES_ALONG.issuperset(names) and len(names) == len(set(names))
    return found if proper and b"\r\n\r\n" in b"\r\n" + found else None


def _text_alone(message: Message) -> bytes:
    text = next((reading.body(part) for part in reading.parts(message) if part.get_content_maintype() == "text"), "")
    encoded = base64.encodebytes(f"{text}\n\n{_LOST}\n".encode("utf-8", "replace")).replace(b"\n", b"\r\n")
    return b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded
