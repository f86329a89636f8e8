"""What a hand-off came to, and how a server's reply becomes that."""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

Kind = Literal["accepted", "rejected", "deferred", "dropped"]

CODES: Final = {b"%d" % code: code for code in range(200, 600)}  # RFC 5321 §4.2.1: 2yz to 5yz are all that an SMTP server says
CLOSING: Final = 421  # RFC 5321 §3.8: may answer any command; the server processes nothing after it
BAD_SEQUENCE: Final = 503
TEXT_LIMIT: Final = 200

_ADDRESS = re.compile(r"<?[^\s<>@]*@[^\s<>]+>?")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")


class Reply(NamedTuple):
    """What one hand-off came to. `code` is 0 where no server spoke; `at_us`: when we knew it, microseconds since the epoch.

    accepted: the server's final 2xx. rejected: refused for good. deferred: refused for now, or surely not delivered.
    dropped: bytes of the message may have reached the server and no final reply came: it may have been delivered or not.
    `text` (at most 200 printable characters) never holds an address: replies like to repeat the recipient's.
    """

    kind: Kind
    code: int
    text: str
    at_us: int


def kind_of(code: int) -> Kind:
    """Of a refusal. A bad sequence says something about an earlier command, never about this recipient: try again."""
    return "rejected" if code >= 500 and code != BAD_SEQUENCE else "deferred"


def text_of(lines: list[bytes], recipient: bytes = b"") -> str:
    """The text of a reply's lines (code and mark still in front), fit to be kept: one line, short, without the recipient."""
    if len(lines) == 1:
        text = lines[0][4:].decode("ascii", "replace").strip()
        if not recipient and len(text) <= TEXT_LIMIT and text.isprintable() and "@" not in text:
            return text
    else:
        text = " ".join(line[4:].decode("ascii", "replace").strip() for line in lines)
    if "@" in text:
        text = _ADDRESS.sub("<address>", text)
    if recipient:
        local = recipient.rpartition(b"@")[0].decode("utf-8", "replace")
        text = re.sub(rf"(?<!\w){re.escape(local)}(?!\w)", "<address>", text, flags=re.IGNORECASE) if local else text
    return _UNPRINTABLE.sub(" ", text)[:TEXT_LIMIT]
