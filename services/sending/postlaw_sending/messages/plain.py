"""Templates that only put values in their places: most campaigns' are such, and need no engine to be filled (whole.py)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

_PLACE: Final = re.compile(r"\{\{\s*([A-Za-z_]\w*)\s*\}\}")
MARKS: Final = ("{{", "{%", "{#")
# As minijinja does it, "&" first. One after another: `translate` takes forty times as long over a value of a hundred letters.
_ESCAPES: Final = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&#x27;"), ("/", "&#x2f;"))
_BREAKS_OFF: Final = re.compile(r"<(/(b(o(dy?)?)?)?)?\s*$", re.IGNORECASE)

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
            pieces += (escape(value) if self.escaped else value, following)
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


def breaks_off(piece: str) -> bool:
    """Whether it ends within a `</body`, which a value could complete."""
    return _BREAKS_OFF.search(piece) is not None


def escape(value: str) -> str:
    """For HTML, as the engine does it."""
    for character, instead in _ESCAPES:
        value = value.replace(character, instead)
    return value
