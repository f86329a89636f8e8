"""What advertises in a template, by rules (promotional.toml): the same words are judged the same every time, and by the same place.

EU: Directive 2002/58/EC art. 13; CAN-SPAM, 15 U.S.C. 7702(17): transactional is what is *primarily* so; here it is wholly so, since
several laws (CASL s. 6(6)) excuse nothing else.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

from postlaw_sending.campaigns.domain.campaign import Template

_RULES: Final = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
WORDS: Final[Mapping[str, re.Pattern[str]]] = {
    language: re.compile("|".join(patterns), re.IGNORECASE) for language, patterns in _RULES["words"].items()
}
_LINKS: Final = re.compile("|".join(_RULES["links"]["any"]), re.IGNORECASE)
_ADDRESS: Final = re.compile(r"https?://[^\s<>()\"']+", re.IGNORECASE)
_AFTER_HOST: Final = re.compile(r"^https?://[^/?#]*", re.IGNORECASE)
_UNSEEN: Final = frozenset({"script", "style"})


@dataclass(frozen=True, slots=True)
class Promotion:
    """`line` of `field`, from 1; `what`: the words, or the link, as they stand there."""

    field: str
    line: int
    what: str


def promotions(template: Template) -> list[Promotion]:
    """Every place that advertises, in the order in which they stand."""
    found = [
        *(Promotion("template.subject", line, what) for line, what in _in_text(1, template.subject)),
        *(Promotion("template.text", line, what) for line, what in _in_text(1, template.text)),
    ]
    reader = _Reader()
    reader.feed(template.html)
    reader.close()
    return [*found, *(Promotion("template.html", line, what) for line, what in reader.found)]


def _in_text(first: int, text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), first):
        places = {match.start(): match[0] for words in WORDS.values() for match in words.finditer(line)}
        places |= {match.start(): match[0] for match in _ADDRESS.finditer(line) if _advertises(match[0])}
        yield from ((number, what) for _, what in sorted(places.items()))


def _advertises(link: str) -> bool:
    return _LINKS.search(_AFTER_HOST.sub("", link)) is not None


class _Reader(HTMLParser):
    """What a reader of the page sees, and where its links go."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[int, str]] = []
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        line, _ = self.getpos()
        self._unseen += tag in _UNSEEN
        for name, value in attrs:
            if name in ("alt", "title"):
                self.found += _in_text(line, value or "")
            elif name == "href" and _advertises(value or ""):
                self.found.append((line, value or ""))

    def handle_endtag(self, tag: str) -> None:
        if tag in _UNSEEN and self._unseen:
            self._unseen -= 1

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.found += _in_text(self.getpos()[0], data)
