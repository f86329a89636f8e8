"""The footer that every campaign message ends with, whatever its template says: who sends, why, and how to stop it.

CAN-SPAM 15 U.S.C. 7704(a)(3), (5); CASL, S.C. 2010, c. 23, s. 6(2); Directive 2002/58/EC art. 13(4); Directive 2000/31/EC art. 6;
GDPR art. 21(4).
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from postlaw_sending.messages.headers import one_line

Why = Literal["subscribed", "relationship", "listed"]

_END_OF_BODY = re.compile(rb"</body\s*>", re.IGNORECASE)
LABEL = "Advertisement"
_OBJECT = "You may object to marketing mail at any time, free of charge."


@dataclass(frozen=True, slots=True)
class Form:
    """What differs between the footers of one campaign. `why`: on what the message rests; `labelled`: it says that it advertises."""

    why: Why
    labelled: bool


# By the number that a job batch carries for each recipient: the commonest first, since a 0 takes no room there. Only ever add to it.
FORMS: Final = tuple(Form(why, labelled) for why in ("subscribed", "relationship", "listed") for labelled in (False, True))
NUMBER_OF: Final[Mapping[tuple[str, bool], int]] = {(form.why, form.labelled): number for number, form in enumerate(FORMS)}


@dataclass(frozen=True, slots=True)
class Sender:
    """Who a footer names. `contact` may be empty; each but `postal_address` is one line."""

    name: str
    postal_address: str
    contact: str

    def lines(self) -> list[str]:
        return [line for line in map(one_line, (self.name, *self.postal_address.splitlines(), self.contact)) if line]


def text_footer(sender: Sender, list_name: str, form: Form) -> bytes:
    """Up to where the unsubscribe link follows; UTF-8, CRLF."""
    label = [LABEL] if form.labelled else []
    lines = ["", "", "-- ", *label, *sender.lines(), "", _why(sender, list_name, form.why), _OBJECT, "Unsubscribe: "]
    return "\r\n".join(lines).encode()


def html_footer(sender: Sender, list_name: str, form: Form) -> bytes:
    """Up to where the unsubscribe link follows, and HTML_END after it; UTF-8, CRLF. Styles are inline and our own."""
    label = f"<p><strong>{LABEL}</strong></p>\r\n" if form.labelled else ""
    who = "<br>".join(map(html.escape, sender.lines()))
    return (
        '\r\n<div style="clear:both;margin:24px 0 0;padding:16px;border-top:1px solid #999;background:#fff;color:#222;'
        'font:14px/1.5 sans-serif;text-align:center">\r\n'
        f"{label}<p>{who}</p>\r\n<p>{html.escape(_why(sender, list_name, form.why))}<br>{_OBJECT}</p>\r\n"
        '<p><a style="color:#00c;font-size:16px;text-decoration:underline" href="'
    ).encode()


HTML_END: Final = b'">Unsubscribe</a></p>\r\n</div>\r\n'


def put_in(page: bytes, footer: bytes) -> bytes:
    """The footer before the last `</body>`, or at the end of a page without one."""
    at = end_of_body(page)
    if at is None:
        at = len(page)
    return page[:at] + footer + page[at:]


def end_of_body(page: bytes) -> int | None:
    """Where the last `</body>` begins, if there is one."""
    at = page.rfind(b"</")
    while at >= 0 and not _END_OF_BODY.match(page, at):
        at = page.rfind(b"</", 0, at)
    return at if at >= 0 else None


def _why(sender: Sender, list_name: str, why: Why) -> str:
    of = one_line(sender.name)
    match why:
        case "subscribed":
            because = f"you subscribed to {one_line(list_name)}"
        case "relationship":
            because = f"of your relationship with {of}"
        case "listed":
            because = f"your address is on the list {one_line(list_name)} of {of}"
    return f"You receive this message because {because}."
