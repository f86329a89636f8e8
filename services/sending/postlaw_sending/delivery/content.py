"""A message as DATA carries it (RFC 5321 §4.5.2)."""

from __future__ import annotations

import re

_LINE_END = re.compile(rb"\r\n|\r|\n")


def dot_stuffed(message: bytes) -> bytes:
    """With transparency and the final dot. A stray CR or LF becomes a line end: left as it is, it could end the message early
    at a careless server and turn the rest into commands ("SMTP smuggling")."""
    ends = message.count(b"\r\n")
    if message.count(b"\n") != ends or message.count(b"\r") != ends:
        message = _LINE_END.sub(b"\r\n", message)
    message = message.replace(b"\r\n.", b"\r\n..")
    if message.startswith(b"."):
        message = b"." + message
    return message + (b".\r\n" if message.endswith(b"\r\n") else b"\r\n.\r\n")
