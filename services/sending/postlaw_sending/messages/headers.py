"""Header values that stay one header whatever they hold: unstructured text and display names, with RFC 2047 where needed."""

from __future__ import annotations

import base64
import re
from typing import Final

# What would end a header line, or what some reader takes for a line end. All of it becomes one space.
_CONTROLS: Final = re.compile("[\x00-\x20\x7f-\x9f\u2028\u2029]+")
_LINE: Final = 76  # RFC 2047 §2 for lines with encoded words; RFC 5322 §2.1.1 would allow 78
_WORD_BYTES: Final = 42  # 56 characters in base 64, 68 with "=?utf-8?B?" and "?=": fits a line also behind "Subject: "


def one_line(text: str) -> str:
    """The text without line ends and other controls, without space at its ends."""
    if text.isprintable() and "  " not in text:
        return text.strip(" ")
    return _CONTROLS.sub(" ", text).strip(" ")


def unstructured(text: str, name_length: int) -> bytes:
    """A header's value (RFC 5322 §3.2.5), folded; `name_length` counts the header's name with colon and space.

    "=?" in plain text would be read as an encoded word, so such text is encoded as well.
    """
    text = one_line(text)
    if not text.isascii() or "=?" in text:
        return encoded_words(text)
    if len(text) + name_length <= _LINE:
        return text.encode("ascii")
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        if len(word) > _LINE:
            return encoded_words(text)
        room = _LINE - (1 if lines else name_length)
        if line and len(line) + 1 + len(word) > room:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return "\r\n ".join([*lines, line]).encode("ascii")


def phrase(text: str) -> bytes:
    """A display name (RFC 5322 §3.2.5): a quoted string, or encoded words where it is not ASCII."""
    text = one_line(text)
    if not text.isascii() or "=?" in text:
        return encoded_words(text)
    return b'"%b"' % text.replace("\\", "\\\\").replace('"', '\\"').encode("ascii")


def encoded_words(text: str) -> bytes:
    """RFC 2047 §2, one to a line; no character is split over two words (§5)."""
    words: list[bytes] = []
    chunk = b""
    for character in text:
        octets = character.encode("utf-8")
        if len(chunk) + len(octets) > _WORD_BYTES:
            words.append(chunk)
            chunk = b""
        chunk += octets
    words.append(chunk)
    return b"\r\n ".join(b"=?utf-8?B?%b?=" % base64.b64encode(word) for word in words)
