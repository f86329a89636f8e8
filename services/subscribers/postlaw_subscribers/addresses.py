"""E-mail addresses by RFC 5321 and RFC 6531, as `email-validator` judges them, at the speed that an import needs.

The library takes 40 µs an address, nearly all of it on the domain. Domains repeat, so each is judged by the library once (a cache of
bounded size), and a local part that is a plain ASCII dot-atom needs no more than a pattern. Anything else goes to the library whole. The
answers are the library's own: tests hold both ways against each other.

Taken by policy: quoted local parts (RFC 5321 §4.1.2), international local parts and domains, and the reserved domain `.test` (RFC 6761),
so that customers can try things out. Refused: address literals (`user@[192.0.2.1]`) and single-label domains, which no public mail
is sent to.
"""

from __future__ import annotations

import re
from functools import lru_cache

import idna
from email_validator import EmailNotValidError, validate_email

_DOT_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_FOREIGN_QUOTED_PAIR = re.compile(r"\\[^ -~]")  # RFC 6531 §3.3 widens quoted text, not quoted pairs; the library takes both
_MAX_LOCAL = 64  # RFC 5321 §4.5.3.1.1
_MAX_ADDRESS = 254  # RFC 5321 §4.5.3.1.3: a path of 256 with its two angle brackets


class InvalidAddress(ValueError):
    """Not an address that mail can be sent to. The message says why and never repeats the address."""


def normalise(address: str) -> str:
    """The address as mail is sent to it: local part in NFC, domain lower-case in A-labels. Raises InvalidAddress."""
    local, at, domain = address.rpartition("@")
    if at and len(local) <= _MAX_LOCAL and _DOT_ATOM.fullmatch(local):
        known = _domain(domain)
        if known is not None and len(local) + 1 + known[1] <= _MAX_ADDRESS:
            return f"{local}@{known[0]}"
    return by_library(address)


def spellings(address: str) -> tuple[str, ...]:
    """As other systems may have kept a normalised address: an international domain in A-labels or in U-labels."""
    local, _, domain = address.rpartition("@")
    return (address, f"{local}@{idna.decode(domain)}") if "xn--" in domain else (address,)


def by_library(address: str) -> str:
    """The same answer, by the library alone."""
    if _FOREIGN_QUOTED_PAIR.search(address):
        raise InvalidAddress("a backslash may only stand before an ASCII character")
    try:
        found = validate_email(
            address,
            check_deliverability=False,
            allow_smtputf8=True,
            allow_quoted_local=True,
            allow_domain_literal=False,
            test_environment=True,
            strict=True,
        )
    except EmailNotValidError as error:
        raise InvalidAddress(_without_the_address(error)) from None
    if len(found.local_part.encode()) > _MAX_LOCAL:  # the library counts characters, and leaves out the quotes
        raise InvalidAddress("the part before the @-sign is longer than 64 octets")
    return f"{found.local_part}@{found.ascii_domain}"


@lru_cache(maxsize=8192)
def _domain(domain: str) -> tuple[str, int] | None:
    """(A-labels, octets of these or of the U-labels, whichever are more) of a domain that the library takes; None where it has something
    to say."""
    try:
        found = validate_email(f"a@{domain}", check_deliverability=False, allow_domain_literal=False, test_environment=True)
    except EmailNotValidError:
        return None
    return found.ascii_domain, max(len(found.ascii_domain), len(found.domain.encode()))


def _without_the_address(error: EmailNotValidError) -> str:
    """The library quotes single characters only, but a reason travels into logs: keep its sentence up to the first quotation."""
    return str(error).split(":", 1)[0].split("'", 1)[0].rstrip(" (") or "not an address"
