"""The header line: which cell separator a file uses, which column holds the address, and what the fields are called."""

from __future__ import annotations

from dataclasses import dataclass

from postlaw_subscribers.domain.csv_rows import RowReader
from postlaw_subscribers.domain.digest import is_digest
from postlaw_subscribers.domain.import_job import Columns

MAX_COLUMNS = 100
MAX_NAME = 100
_DELIMITERS = ",;\t"
_ADDRESS_COLUMNS = ("email", "e-mail", "email address", "e-mail address", "email_address", "emailaddress", "address", "mail")
_DIGEST_COLUMNS = ("sha256", "md5", "hash", "digest", "email_hash", "email hash", "email_sha256", "email_md5")
# What a row says of its own consent; some names are those of other providers' exports.
_TERRITORY_COLUMNS = ("country", "territory", "country_code", "country code", "land", "pays", "país")
_GRADE_COLUMNS = ("evidence", "evidence_grade")
_TIME_COLUMNS = ("consented_at", "consent_time", "optin_time", "opt_in_time")
_IP_COLUMNS = ("ip", "ip_address", "ip address", "optin_ip", "opt_in_ip")
_FORM_COLUMNS = ("form", "form_url", "signup_form")


class BadHeader(ValueError):
    """The whole file cannot be taken; the message says why and what to do, and holds nothing but column names."""


@dataclass(frozen=True, slots=True)
class Header:
    """`names` by column, "" where a column has no name and is left out; `end`: the byte at which the rows begin. The places of what a row
    says of its own consent are None where the file has no such column."""

    delimiter: str
    names: tuple[str, ...]
    address_at: int
    end: int
    territory_at: int | None = None
    grade_at: int | None = None
    time_at: int | None = None
    ip_at: int | None = None
    form_at: int | None = None

    @property
    def says_of_consent(self) -> bool:
        places = (self.territory_at, self.grade_at, self.time_at, self.ip_at, self.form_at)
        return any(place is not None for place in places)


def read_header(text: bytes, columns: Columns | None = None, *, of_digests: bool = False) -> Header:
    """The header from the file's first bytes (64 kB suffice). `of_digests`: in place of addresses. Raises BadHeader."""
    columns = columns or Columns()
    line = text.split(b"\n", 1)[0].decode(errors="replace")
    delimiter = sniff(line)
    reader = RowReader(delimiter)
    rows = reader.feed(text[: 1 << 16].rpartition(b"\n")[0] + b"\n" if b"\n" in text else text + b"\n")
    first = next((row for row in rows if row.cells or row.reason), None)
    if first is None:
        raise BadHeader("The file is empty: its first line must name the columns, one of them 'email'.")
    if first.reason:
        raise BadHeader(f"The header line cannot be read ({first.reason}): name the columns in one line, at most 100 of them.")
    names = tuple(cell.strip() for cell in first.cells)
    _check(names)
    return Header(
        delimiter,
        names,
        _address_at(names, columns.address, (*_DIGEST_COLUMNS, *_ADDRESS_COLUMNS) if of_digests else _ADDRESS_COLUMNS),
        _end_of_row(text, first.number, delimiter),
        territory_at=_place(names, columns.territory, "territory_column", _TERRITORY_COLUMNS),
        grade_at=_place(names, columns.grade, "grade_column", _GRADE_COLUMNS),
        time_at=_place(names, columns.time, "time_column", _TIME_COLUMNS),
        ip_at=_place(names, columns.ip, "ip_column", _IP_COLUMNS),
        form_at=_place(names, columns.form, "form_column", _FORM_COLUMNS),
    )


def sniff(line: str) -> str:
    """The separator that occurs most often outside quotes; a comma where there is none."""
    counts = dict.fromkeys(_DELIMITERS, 0)
    quoted = False
    for character in line[:65536]:
        if character == '"':
            quoted = not quoted
        elif not quoted and character in counts:
            counts[character] += 1
    return max(_DELIMITERS, key=lambda delimiter: counts[delimiter])


def _check(names: tuple[str, ...]) -> None:
    if len(names) > MAX_COLUMNS:
        raise BadHeader(f"The file has {len(names)} columns; at most {MAX_COLUMNS} are taken. Leave some out.")
    seen: set[str] = set()
    for name in names:
        if len(name) > MAX_NAME or "\0" in name:
            raise BadHeader(f"A column's name is longer than {MAX_NAME} characters or holds a NUL. Is the header line missing?")
        if name and name.casefold() in seen:
            raise BadHeader(f"Two columns are called '{name}'. Rename one.")
        seen.add(name.casefold())


def _address_at(names: tuple[str, ...], wanted: str, usual: tuple[str, ...]) -> int:
    place = _place(names, wanted, "address_column", usual)
    if place is not None:
        return place
    is_person = any("@" in name or is_digest(name) for name in names)
    hint = " The first line looks like a person, not like a header." if is_person else ""
    raise BadHeader(f"No column is called '{usual[0]}'.{hint} Add a header line, or name the column in 'address_column'.")


def _place(names: tuple[str, ...], wanted: str, setting: str, usual: tuple[str, ...]) -> int | None:
    """The column that has the wanted name, or else the first of the usual ones. None where there is none of them."""
    folded = [name.casefold() for name in names]
    for candidate in (wanted.strip().casefold(),) if wanted else usual:
        if candidate in folded:
            return folded.index(candidate)
    if wanted:
        raise BadHeader(f"No column has the name that '{setting}' gives. Compare it with the header line.")
    return None


def _end_of_row(text: bytes, number: int, delimiter: str) -> int:
    """The byte after row `number`: a header may hold quoted line ends, so lines are added until that row is whole."""
    end = 0
    while True:
        end = text.find(b"\n", end) + 1
        if not end:
            return len(text)
        reader = RowReader(delimiter)
        if len(reader.feed(text[:end])) >= number:
            return reader.offset
