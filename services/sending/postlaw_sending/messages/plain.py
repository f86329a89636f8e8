"""Templates that only put values in their places, filled in one step: the same octets as the engine's, a fifth of its time.

Most campaigns are such. What a template's own words decide (line lengths, where the footer goes) is decided once, when the campaign is
compiled; what only a value can spoil is looked for in the values. Whatever is not plain enough goes the engine's way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from postlaw_sending.messages import footer
from postlaw_sending.messages.parts import LINE_LIMIT, as_it_is

_PLACE: Final = re.compile(r"\{\{\s*([A-Za-z_]\w*)\s*\}\}")
MARKS: Final = ("{{", "{%", "{#")
# As minijinja does it, "&" first. One after another: `translate` takes forty times as long over a value of a hundred letters.
_ESCAPES: Final = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&#x27;"), ("/", "&#x2f;"))
_BREAKS_OFF: Final = re.compile(r"<(/(b(o(dy?)?)?)?)?\s*$", re.IGNORECASE)  # of `</body`, which a value could complete

Render = Callable[[dict[str, str]], str | None]


@dataclass(frozen=True, slots=True)
class Plain:
    """A template: what stands around its values, and which value stands where."""

    around: tuple[str, ...]
    names: tuple[str, ...]
    escaped: bool

    def fill(self, values: Mapping[str, str]) -> str:
        pieces = [self.around[0]]
        for name, following in zip(self.names, self.around[1:], strict=True):
            value = values.get(name, "")
            pieces += (_escape(value) if self.escaped else value, following)
        return "".join(pieces)


def plain(source: str, render: Render, *, escaped: bool) -> Plain | None:
    """None where it does more than put values in their places; `render` is the engine's (None: it fails), and has
    the last word."""
    around = _PLACE.split(source)
    names = tuple(around[1::2])
    found = Plain(tuple(around[::2]), names, escaped)
    if any(mark in piece for piece in found.around for mark in MARKS):
        return None
    for values in ({}, dict.fromkeys(names, "<sample>")):  # a constant or a function of the engine's own is no value
        if found.fill(values) != render(values):
            return None
    return found


class Page:
    """A whole part of a message, with its footers, whose template is plain. `ends`: by form, up to the link and after it."""

    def __init__(self, template: Plain, ends: Sequence[tuple[bytes, bytes]], *, in_body: bool, limit: int) -> None:
        pieces = [piece.encode() for piece in template.around]
        self.names = template.names
        self._escaped = template.escaped
        self._shapes = [_shape(pieces, len(template.names), end, in_body=in_body) for end in ends]
        longest = max(len(line) for shape, _ in self._shapes for line in shape.split(b"\r\n"))
        size = max(len(shape) for shape, _ in self._shapes)
        self._limit = limit
        self._room = min(LINE_LIMIT - longest, limit - size)  # octets that all values may take, wherever they stand

    def fill(self, values: Mapping[str, str], token: bytes, form: int, boundary: bytes) -> tuple[bytes, bytes] | None:
        """As `parts.encode` gives it; None where the values could break a line or be too long for one. `values`: printable ones."""
        shape, token_at = self._shapes[form]
        filled = [_escape(values[name]).encode() if self._escaped else values[name].encode() for name in self.names]
        filled.insert(token_at, token)
        page = shape % tuple(filled)
        if sum(map(len, filled)) > self._room and (len(page) > self._limit or max(map(len, page.split(b"\r\n"))) > LINE_LIMIT):
            return None
        return None if boundary in page else (as_it_is(page), page)


def _shape(pieces: list[bytes], places: int, end: tuple[bytes, bytes], *, in_body: bool) -> tuple[bytes, int]:
    """What `%` fills, and where among the values the token goes."""
    at, inside = places, len(pieces[-1])
    if in_body:
        at, inside = next(
            ((number, found) for number in range(places, -1, -1) if (found := footer.end_of_body(pieces[number])) is not None), (at, inside)
        )
    quoted = [piece.replace(b"%", b"%%") for piece in pieces]
    before, after = (part.replace(b"%", b"%%") for part in (pieces[at][:inside], pieces[at][inside:]))
    quoted[at] = before + end[0].replace(b"%", b"%%") + b"%b" + end[1].replace(b"%", b"%%") + after
    return b"%b".join(quoted), at


def page_of(template: Plain | None, ends: Sequence[tuple[bytes, bytes]], *, in_body: bool, limit: int) -> Page | None:
    """None where a value could move the footer, or end a line of its own."""
    if template is None or (in_body and any(_BREAKS_OFF.search(piece) for piece in template.around[:-1])):
        return None
    text = "".join(template.around)
    if "\0" in text or text.count("\r") != text.count("\r\n") or text.count("\n") != text.count("\r\n"):
        return None
    return Page(template, ends, in_body=in_body, limit=limit)


def _escape(value: str) -> str:
    for character, instead in _ESCAPES:
        value = value.replace(character, instead)
    return value
