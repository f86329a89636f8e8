"""The text of an HTML template, for whoever's reader shows none: paragraphs, lists and links, with the template's own marks kept."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Final

from postlaw_sending.messages.marks import held, put_back

_SPACE: Final = re.compile(r"[ \t\r\n\f]+")
_UNSEEN: Final = frozenset({"head", "script", "style", "template", "title"})
_BLOCKS: Final = frozenset(
    {
        "address",
        "article",
        "blockquote",
        "div",
        "footer",
        "form",
        "header",
        "li",
        "main",
        "nav",
        "ol",
        "pre",
        "section",
        "table",
        "tr",
        "ul",
    }
)
_PARAGRAPHS: Final = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6", "hr"})


def text_of(html: str) -> str:
    """Lines of plain text, a blank one between paragraphs. A link's address stands behind its words, where they differ."""
    page, marks = held(html)
    reader = _Reader()
    reader.feed(page)
    reader.close()
    text = "\n".join(line.strip() for line in "".join(reader.pieces).split("\n"))
    text = re.sub(r"\n{3,}", "\n\n", text).strip()
    return put_back(text, marks)


def text_or_made(text: str, html: str) -> str:
    """The text, or where there is none that of the HTML."""
    return text if text.strip() else text_of(html)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._unseen = 0
        self._links: list[tuple[str, int]] = []  # where each open one leads, and where its words begin

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._unseen += tag in _UNSEEN
        if tag == "br":
            self.pieces.append("\n")
        elif tag == "img" and not self._unseen:
            self.pieces.append(given.get("alt") or "")
        elif tag == "a":
            self._links.append((given.get("href") or "", len(self.pieces)))
        else:
            self._break(tag)
            if tag == "li":
                self.pieces.append("- ")

    def handle_endtag(self, tag: str) -> None:
        if tag in _UNSEEN:
            self._unseen = max(0, self._unseen - 1)
        elif tag == "a" and self._links:
            address, start = self._links.pop()
            words = "".join(self.pieces[start:]).strip()
            if address and not address.startswith("#") and words not in (address, address.removeprefix("mailto:")):
                self.pieces.append(f" ({address.removeprefix('mailto:')})" if words else address)
        elif tag in ("td", "th"):
            self.pieces.append(" ")
        else:
            self._break(tag)

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.pieces.append(_SPACE.sub(" ", data))

    def _break(self, tag: str) -> None:
        if tag in _PARAGRAPHS:
            self.pieces.append("\n\n")
        elif tag in _BLOCKS:
            self.pieces.append("\n")
