"""A template's own marks (`{{ … }}`, `{% … %}`, `{# … #}`) held apart while its HTML is read, so that nothing in them is taken for HTML."""

from __future__ import annotations

import re
from typing import Final

_MARK: Final = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_HELD: Final = re.compile("\ue000(\\d+)\ue001")  # private use, which no page of text has
_OURS: Final = dict.fromkeys(map(ord, "\ue000\ue001"))


def held(source: str) -> tuple[str, list[str]]:
    """(the source with letters that no page has in each mark's place, the marks)."""
    marks: list[str] = []

    def hold(mark: re.Match[str]) -> str:
        marks.append(mark[0])
        return f"\ue000{len(marks) - 1}\ue001"

    return _MARK.sub(hold, source.translate(_OURS)), marks


def put_back(text: str, marks: list[str]) -> str:
    return _HELD.sub(lambda held: marks[int(held[1])], text)
