"""Envelope addresses as they may go into MAIL and RCPT, so that no address can carry a command of its own."""

from __future__ import annotations

import re
from typing import Final

import idna

# RFC 5321 §4.1.2, loosely: what cannot break out of the angle brackets or the line. Whether an address exists is the server's say.
_PLAIN: Final = re.compile(rb'[^\x00-\x20\x7f<>"@\\]+@[^\x00-\x20\x7f<>"@\\]+')
_QUOTED: Final = re.compile(rb'"(?:[^\x00-\x1f\x7f"\\]|\\[\x20-\x7e])*"@[^\x00-\x20\x7f<>"@\\]+')


class BadAddress(Exception):
    """The address cannot go into an SMTP command."""


def path(address: bytes) -> tuple[bytes, bool]:
    """The address for an SMTP command, and whether it needs SMTPUTF8 (RFC 6531). An international domain becomes A-labels (RFC 5891).

    Raises BadAddress. The empty address is the null reverse-path (RFC 5321 §4.5.5).
    """
    if not (_PLAIN.fullmatch(address) or not address or _QUOTED.fullmatch(address)):
        raise BadAddress("not an address that SMTP can carry")
    if address.isascii():
        return address, False
    local, _, domain = address.rpartition(b"@")
    try:
        if not domain.isascii():
            domain = idna.encode(domain.decode("utf-8"), uts46=True)
        local.decode("utf-8")
    except (UnicodeError, idna.IDNAError) as error:
        raise BadAddress("not a valid international address") from error
    return local + b"@" + domain, not local.isascii()
