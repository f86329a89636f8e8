"""A message as it passes where 8BITMIME is not offered (RFC 6152 §3), or not by whoever passes it on (RFC 6376 §5.3)."""

from __future__ import annotations

import binascii
import re
from typing import Final

_HEAD_END: Final = b"\r\n\r\n"
_BOUNDARY: Final = re.compile(
    rb'^Content-Type:[ \t]*multipart/[^\r]*?;(?:\r\n)?[ \t]*boundary="?([^"\r;]{1,70})"?', re.IGNORECASE | re.MULTILINE
)
_AS_IT_IS: Final = re.compile(rb"^(Content-Transfer-Encoding:[ \t]*)(?:8bit|binary)[ \t]*(?=\r|\Z)", re.IGNORECASE | re.MULTILINE)
_LINE: Final = 76
_ABOVE: Final = bytes(range(128, 256))
_FEW: Final = 6  # one octet in so many: quoted-printable is the shorter one up to there, and the readable one


def seven_bit(message: bytes) -> bytes:
    """The same message, each part of it that has octets above 127 in quoted-printable or base64 (RFC 2045 §6.7, §6.8). `message`: MIME with
    CRLF line ends. What stands so in a header (RFC 6532), or in a part that does not say `8bit`, stays."""
    if message.isascii():
        return message
    head, blank, body = message.partition(_HEAD_END)
    if body.isascii():
        return message
    boundary = _BOUNDARY.search(head)
    if boundary is not None:
        return _AS_IT_IS.sub(rb"\g<1>7bit", head) + blank + _in_parts(body, boundary[1])
    if not _AS_IT_IS.search(head):
        return message
    name, encoded = _encoded(body)
    return _AS_IT_IS.sub(rb"\g<1>" + name, head) + blank + encoded


def _in_parts(body: bytes, boundary: bytes) -> bytes:
    """RFC 2046 §5.1.1: what stands between two delimiters is a part; before the first and behind the last is nothing that is read."""
    body = b"\r\n" + body  # which belongs to the first delimiter
    delimiters = list(re.finditer(rb"\r\n--%b(?:--)?[ \t]*(?:\r\n|\Z)" % re.escape(boundary), body))
    made: list[bytes] = []
    end = 0
    for delimiter in delimiters:
        between = body[end : delimiter.start()]
        made += (seven_bit(between) if end else between, delimiter[0])
        end = delimiter.end()
    return b"".join([*made, body[end:]])[2:]


def _encoded(body: bytes) -> tuple[bytes, bytes]:
    """The encoding's name, and the body in it."""
    above = len(body) - len(body.translate(None, _ABOVE))
    if above * _FEW <= len(body):
        return b"quoted-printable", binascii.b2a_qp(body.replace(b"\r\n", b"\n"), istext=True).replace(b"\n", b"\r\n")
    whole = binascii.b2a_base64(body, newline=False)
    return b"base64", b"".join([whole[start : start + _LINE] + b"\r\n" for start in range(0, len(whole), _LINE)])
