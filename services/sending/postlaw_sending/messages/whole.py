"""A message whose templates are plain, as one form that a recipient's values are put into: the same octets as the engine's, a tenth of its
time.

What the templates' own words decide (line lengths, transfer encodings, where the footer goes) is decided once, when the campaign is
compiled; what only a value can spoil is looked for in the values. Whatever is not plain enough goes the engine's way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Final, NamedTuple, Protocol

from postlaw_sending.messages import footer
from postlaw_sending.messages.parts import LINE_LIMIT, as_it_is
from postlaw_sending.messages.plain import Plain, breaks_off, escape
from postlaw_sending.messages.templates import subject_of

# What stands where in `Whole.fill`'s values, before the recipient's own fields: first as they are, then as HTML.
TO, ANSWERS, SUBJECT, DATE, ID, TOKEN, TEXT_AS, HTML_AS, LINK, HTML_LINK = range(10)
FIELDS: Final = 10

_MARK: Final = re.compile(rb"\0(\d+)\0")
_SPECIAL: Final = re.compile("[&<>\"'/]")


def mark(place: int) -> bytes:
    """Stands for a value. No octet of it is in what a page, or a header, may hold."""
    return b"\0%d\0" % place


class Addressed(Protocol):
    """What is put into a message of the recipient."""

    @property
    def address(self) -> str: ...
    @property
    def fields(self) -> Mapping[str, str]: ...
    @property
    def footer(self) -> int: ...


class Pages(NamedTuple):
    """A whole part of a message by form of its footer, with marks; what encodes it while its values are ASCII; octets that all values
    together may take, wherever they stand; names of the fields in it, and how often one stands there at most."""

    by_form: Sequence[bytes]
    encoding: bytes
    room: int
    names: frozenset[str]
    most: int


def pages(
    template: Plain | None, names: Sequence[str], ends: Sequence[tuple[bytes, bytes]], link: str, *, in_body: bool, limit: int
) -> Pages | None:
    """`names`: of all fields, in the order of their values. `ends`: by form of the footer, up to the link and after it. None where a value
    could move the footer, or end a line of its own."""
    if template is None or (in_body and any(breaks_off(piece) for piece in template.around[:-1])):
        return None
    text = "".join(template.around)
    if "\0" in text or text.count("\r") != text.count("\r\n") or text.count("\n") != text.count("\r\n"):
        return None
    first = FIELDS + (len(names) if template.escaped else 0)
    links = HTML_LINK if template.escaped else LINK
    places = [links if name == "unsubscribe_url" else first + names.index(name) for name in template.names]
    by_form = [_page(template.around, places, end, in_body=in_body) for end in ends]
    bare = [_MARK.sub(b"", page) for page in by_form]
    longest = max(len(line) for page in bare for line in page.split(b"\r\n"))
    most = max(map(template.names.count, template.names), default=0)
    of_links = template.names.count("unsubscribe_url") * len(escape(link))
    room = min(LINE_LIMIT - longest, limit - max(map(len, bare))) - of_links
    return Pages(by_form, as_it_is(b"".join(bare)), room, frozenset(template.names), max(1, most))


def _page(around: Sequence[str], places: Sequence[int], end: tuple[bytes, bytes], *, in_body: bool) -> bytes:
    pieces = [piece.encode() for piece in around]
    at, inside = len(places), len(pieces[-1])
    if in_body:
        at, inside = next(
            ((number, found) for number in range(at, -1, -1) if (found := footer.end_of_body(pieces[number])) is not None), (at, inside)
        )
    pieces[at] = b"%b%b%b%b%b" % (pieces[at][:inside], end[0], mark(TOKEN), end[1], pieces[at][inside:])
    marks = [*(mark(place) for place in places), b""]
    return b"".join(part for pair in zip(pieces, marks, strict=True) for part in pair)


class Whole:
    """`forms`: whole messages with marks, by form of the footer. `names`: of fields, in the order of their values. `link`: up to the token.
    `end`: so many octets at the end are the same for all, and hold boundaries of their own."""

    def __init__(
        self,
        subject: Plain,
        text: Pages,
        html: Pages | None,
        names: Sequence[str],
        forms: Sequence[bytes],
        link: str,
        boundary: bytes,
        end: int,
    ) -> None:
        parts = [text, html] if html else [text]
        self._subject, self._names = subject, tuple(names)
        self._text, self._html = text, html
        self._room = min(part.room for part in parts)
        self._most = max(part.most for part in parts)
        self._links = (link.encode(), escape(link).encode())
        self._boundary, self._end = boundary, end
        self._forms = [_form(form, boundary, end) for form in forms]

    def fill(self, recipient: Addressed, token: bytes, to: bytes, answers: bytes, date: bytes, id: bytes) -> bytes | None:
        """None where a value could break a line, or make one too long, or holds a boundary. Raises RenderFailed."""
        field = recipient.fields.get
        values = {name: field(name, "") for name in self._names}
        if "address" in values:
            values["address"] = recipient.address
        flat = "\t".join(values.values())
        if not flat.replace("\t", "", len(values) - 1).isprintable():
            return None
        subject = subject_of(self._subject.fill(values))
        as_they_are = [value.encode() for value in values.values()]
        as_html = [escape(value).encode() for value in values.values()] if _SPECIAL.search(flat) else as_they_are
        if self._most * (sum(map(len, as_html)) + len(token)) + len(token) > self._room:
            return None
        text_as, html_as = self._text.encoding, self._html.encoding if self._html else b""
        if not flat.isascii():
            wide = {name for name, value in values.items() if not value.isascii()}
            text_as = text_as if wide.isdisjoint(self._text.names) else b"8bit"
            html_as = html_as if self._html is None or wide.isdisjoint(self._html.names) else b"8bit"
        link, html_link = self._links
        form = self._forms[recipient.footer]
        message = form.shape % form.places(
            (to, answers, subject, date, id, token, text_as, html_as, link + token, html_link + token, *as_they_are, *as_html)
        )
        if form.apart:
            return None if self._boundary in flat.encode() else message
        return message if message.count(self._boundary, 0, len(message) - self._end) == form.boundaries else None


class _Form(NamedTuple):
    """What `%` fills, and with what. `boundaries`: how often it holds the boundary before its end. `apart`: no octet beside a value is one
    that a boundary is made of, so that a value either holds all of one or nothing."""

    shape: bytes
    places: Callable[[Sequence[bytes]], tuple[bytes, ...]]
    boundaries: int
    apart: bool


def _form(marked: bytes, boundary: bytes, end: int) -> _Form:
    around = _MARK.split(marked)
    pieces = around[::2]
    return _Form(
        b"%b".join(piece.replace(b"%", b"%%") for piece in pieces),
        itemgetter(*map(int, around[1::2])),
        b"\0".join(pieces).count(boundary, 0, -end or None),
        not any(not piece or piece[0] in boundary or piece[-1] in boundary for piece in pieces[1:-1]),
    )
