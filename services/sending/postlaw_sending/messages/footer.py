"""The footer that every campaign message ends with, whatever its template says: who sends, why, and how to stop it.

CAN-SPAM 15 U.S.C. 7704(a)(3), (5); CASL, S.C. 2010, c. 23, s. 6(2); Directive 2002/58/EC art. 13(4).
"""

from __future__ import annotations

import html
import re

from postlaw_sending.messages.headers import one_line

_END_OF_BODY = re.compile(rb"</body\s*>", re.IGNORECASE)


def text_footer(sender_name: str, postal_address: str, list_name: str) -> bytes:
    """Up to where the unsubscribe link follows; UTF-8, CRLF."""
    lines = ["", "", "-- ", one_line(sender_name), *_lines(postal_address), "", _why(list_name), "Unsubscribe: "]
    return "\r\n".join(lines).encode()


def html_footer(sender_name: str, postal_address: str, list_name: str) -> tuple[bytes, bytes]:
    """What stands before and what stands behind the unsubscribe link; UTF-8, CRLF. Styles are inline and our own."""
    who = "<br>".join(html.escape(line) for line in (one_line(sender_name), *_lines(postal_address)))
    before = (
        '\r\n<div style="clear:both;margin:24px 0 0;padding:16px;border-top:1px solid #999;background:#fff;color:#222;'
        'font:14px/1.5 sans-serif;text-align:center">\r\n'
        f"<p>{who}</p>\r\n<p>{html.escape(_why(list_name))}</p>\r\n"
        '<p><a style="color:#00c;font-size:16px;text-decoration:underline" href="'
    )
    return before.encode(), b'">Unsubscribe</a></p>\r\n</div>\r\n'


def put_in(page: bytes, footer: bytes) -> bytes:
    """The footer before the last `</body>`, or at the end of a page without one."""
    at = page.rfind(b"</body>")
    if at < 0:
        found = list(_END_OF_BODY.finditer(page))
        at = found[-1].start() if found else len(page)
    return page[:at] + footer + page[at:]


def _lines(postal_address: str) -> list[str]:
    return [line for line in map(one_line, postal_address.splitlines()) if line]


def _why(list_name: str) -> str:
    return f"You receive this message because you subscribed to {one_line(list_name)}."
