"""A campaign's HTML with its links led through us, and a pixel at its end.

Only links whose target the template itself names are led so: http(s), in `<a>` or `<area>`, without a value in it. What a recipient's
fields bring in, the unsubscribe link among it, stays as it is; and so does a link whose words are an address, since what is shown must be
where it leads. The text part is not touched.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable
from typing import Final

from postlaw_sending.messages.marks import held, put_back

_LINK: Final = re.compile(r"(<(?:a|area)\b[^>]*?\shref\s*=\s*)(\"[^\"]*\"|'[^']*')([^>]*>)", re.IGNORECASE)
_TARGET: Final = re.compile(r"https?://[0-9A-Za-z\[][!-~]*", re.IGNORECASE)  # as it stands in a Location header, with no mark
_SHOWS_ADDRESS: Final = re.compile(r"\s*(?:https?://|www\.)", re.IGNORECASE)
_END: Final = re.compile(r"</body\s*>", re.IGNORECASE)
_RAW: Final = re.compile(r"\{%[-+]?\s*raw\b")  # within it, what we put in would be shown as it stands
AT_MOST: Final = 1_000  # links of a campaign that have a number; further ones stay as they are


def links_in(pages: Iterable[str]) -> tuple[str, ...]:
    """The targets of all pages, each once, in the order in which they first stand there: a link's number is its place."""
    found: dict[str, None] = {}
    for page in pages:

        def note(target: str) -> None:
            found.setdefault(target)

        _each_link(page, note)
    return tuple(found)[:AT_MOST]


def led(page: str, table: tuple[str, ...], link: Callable[[int], str]) -> str:
    """The page with `link(number)` in the place of each target that is in the table."""
    numbers = {target: number for number, target in enumerate(table)}

    def through_us(target: str) -> str | None:
        return link(numbers[target]) if target in numbers else None

    return _each_link(page, through_us)


def with_pixel(page: str, source: str) -> str:
    """An image of one point before the last `</body>`, or at the end."""
    image = f'<img src="{source}" width="1" height="1" alt="" style="border:0">'
    ends = list(_END.finditer(page))
    at = ends[-1].start() if ends else len(page)
    return page[:at] + image + page[at:]


def _each_link(page: str, replaced: Callable[[str], str | None]) -> str:
    """Asks for each link that can be led; what it says, if anything, takes the target's place."""
    if _RAW.search(page):
        return page
    text, marks = held(page)

    def one(found: re.Match[str]) -> str:
        target = html.unescape(found[2][1:-1]).strip()
        if not _TARGET.fullmatch(target) or _SHOWS_ADDRESS.match(text, found.end()):
            return found[0]
        instead = replaced(target)
        return found[0] if instead is None else f'{found[1]}"{instead}"{found[3]}'

    return put_back(_LINK.sub(one, text), marks)
