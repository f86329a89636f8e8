"""The page of a person's own details, and of the yes to a new address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from postlaw_gateway.profile_wire import ProfileLink
from postlaw_gateway.public_pages.pages import Mail, marked, page

_TITLES = {
    ("details", "open"): "title_details",
    ("address", "open"): "title_address",
    ("details", "done"): "title_details_done",
    ("address", "done"): "title_address_done",
}
_OTHER_TITLES = {"used": "title_used", "expired": "title_expired"}
_PROBLEMS = {"stale": "look_again", "address": "need_address", "address_taken": "address_taken", "details": "need_details"}
# What a browser may fill in by itself (WCAG 1.3.5), by the names that customers give their fields, in letters alone.
_PURPOSES = {
    "name": "name", "fullname": "name", "firstname": "given-name", "givenname": "given-name", "vorname": "given-name",
    "prenom": "given-name",
    "lastname": "family-name", "surname": "family-name", "familyname": "family-name", "nachname": "family-name", "apellido": "family-name",
    "company": "organization", "organization": "organization", "city": "address-level2", "zip": "postal-code", "postalcode": "postal-code",
    "country": "country-name", "phone": "tel", "birthday": "bday", "birthdate": "bday",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    label: str
    value: str
    purpose: str


def show(
    language: str, link: ProfileLink, mail: Mail, *, problem: str = "", details: Mapping[str, str] | None = None, address: str = ""
) -> bytes:
    """`problem`: why nothing was changed; then `details` and `address` are what was typed."""
    typed = details or {}
    rows = [_row(name, typed.get(name, value)) for name, value in link.details.items()]
    stands = "done" if link.done else link.state
    title = _TITLES.get((link.kind, stands)) or _OTHER_TITLES[link.state]
    wrong = _PROBLEMS[problem] if problem else ""
    return page("profile.html", language, title, mail, link=link, rows=rows, wrong=wrong, typed=address or link.address)


def _row(name: str, value: str) -> _Row:
    letters = "".join(character for character in name.lower() if character.isalpha())
    return _Row(name, marked(name.replace("_", " ")), value, _PURPOSES.get(letters, ""))
