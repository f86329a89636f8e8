"""A body as MIME carries it (RFC 2045)."""

from __future__ import annotations

import base64
import re
from typing import Final

LINE_LIMIT: Final = 998  # RFC 5322 §2.1.1
_LINE_END: Final = re.compile(rb"\r\n|\r|\n")


def encode(body: bytes, boundary: bytes) -> tuple[bytes, bytes]:
    """The transfer encoding's name, and the body in it with CRLF line ends.

    As it is (7bit, 8bit) wherever RFC 2045 §2.7, §2.8 allow it and the boundary does not occur in it, else base64.
    """
    ends = body.count(b"\r\n")
    if body.count(b"\n") != ends or body.count(b"\r") != ends:
        body = _LINE_END.sub(b"\r\n", body)
    if _has_long_line(body) or b"\0" in body or boundary in body:
        return b"base64", base64.encodebytes(body).replace(b"\n", b"\r\n")
    return as_it_is(body), body


def as_it_is(body: bytes) -> bytes:
    """The name of the encoding that changes nothing (RFC 2045 §6.2), for a body of short lines without a zero."""
    return b"7bit" if body.isascii() else b"8bit"


def _has_long_line(body: bytes) -> bool:
    """From limit to limit, not from line to line: a page of ordinary lines takes a look every 998 octets."""
    start, size = 0, len(body)
    while size - start > LINE_LIMIT:
        end = body.rfind(b"\r\n", start, start + LINE_LIMIT + 2)
        if end < 0:
            return True
        start = end + 2
    return False
