"""The report in a mail: in whichever part, under whatever type receivers give it."""

from __future__ import annotations

from postlaw_sending.reports.dmarc import read_dmarc
from postlaw_sending.reports.report import Malformed, Report
from postlaw_sending.reports.tls import read_tls
from postlaw_sending.reports.unpacking import unpacked
from postlaw_sending.returns.reading import parse, parts


def report_in(mail: bytes) -> Report:
    """The first that can be read, of the mail's first megabyte. Raises Malformed, with why of the last part that was none."""
    message = parse(mail)
    why = "no part of it could be one"
    for part in parts(message) if message is not None else ():
        data = part.get_payload(decode=True)
        if not isinstance(data, bytes) or part.get_content_type() in ("text/plain", "text/html"):
            continue
        try:
            return read_report(data)
        except Malformed as wrong:
            why = str(wrong)
    raise Malformed(why)


def read_report(data: bytes) -> Report:
    """Of a part as it was attached. Raises Malformed."""
    plain = unpacked(data)
    return read_tls(plain) if plain.lstrip()[:1] == b"{" else read_dmarc(plain)
