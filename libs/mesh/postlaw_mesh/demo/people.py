"""A CSV that looks like real life: byte-order mark, quoted newlines, mixed case, plus-addresses, IDN domains, duplicates, broken rows."""

from __future__ import annotations

import csv
import io
import random

FIRST = ("Ada", "Zoë", "Søren", "Mary", "José", "Anna-Lena", "Björn", "Li", "Fatima", "Oleksandr", "Nguyễn", "Sinéad", "Émile", "Ivana")
LAST = (
    "Lovelace",
    "O'Brien",
    "Kierkegaard",
    "Müller",
    "García",
    "de la Cruz",
    "Öberg",
    "Wang",
    "al-Fihri",
    "Shevchenko",
    "Trần",
    "Nováková",
)
CITIES = ("Paris", "Zürich", "København", "São Paulo", "Kraków", "New York, NY", "Montréal", "Perth")
DOMAINS = ("example.com", "example.org", "example.net", "bücher.example", "mail.example.com", "пример.example", "Example.COM")
BROKEN = (
    "{n}@",
    "no-at-sign-{n}",
    "two@@example{n}.com",
    "",
    "space in{n}@example.com",
    "{n}@-bad-.example",
    "a{n}@example..com",
    ".dot{n}@example.com",
)
# What Acme attests of everyone in the file: evidence for the strictest law, which applies where a territory is not known.
ATTESTED = {
    "source": "sign-up form",
    "attested_by": "Ada, Acme",
    "wording": "Yes, send me the weekly newsletter of Acme. I can stop it at any time. Acme Ltd, 1 High Street, London N1 1AA.",
    "held": "affirmative_act,purpose,requester_named,withdrawal_info,separate,contact_shown",
    "territories": "GB",
    "language": "en",
    "method": "web form",
}
DUPLICATES = 0.02
BROKEN_SHARE = 0.03


def address(i: int, rng: random.Random) -> str:
    """The i-th person's address; no two people share one, whatever its case."""
    local = f"person{i}"
    if i % 7 == 0:
        local = f"person+news{i}"
    if i % 11 == 0:
        local = f"Person.{i}"
    return f"{local}@{rng.choice(DOMAINS)}"


def people_csv(people: int, seed: int = 2026) -> tuple[bytes, list[str], int]:
    """(the file, the good addresses in their order, the number of broken rows) for `people` different people."""
    rng = random.Random(seed)
    out = io.StringIO(newline="")
    rows = csv.writer(out)
    rows.writerow(["Email", "first_name", "last_name", "city", "notes"])
    good: list[str] = []
    broken = 0
    for i in range(people):
        to = address(i, rng)
        good.append(to)
        notes = "first line\nsecond, with a comma" if i % 50 == 0 else "=HYPERLINK(1)" if i % 331 == 0 else ""
        first, last = rng.choice(FIRST), rng.choice(LAST)
        rows.writerow([to, first, last, rng.choice(CITIES), notes])
        if rng.random() < DUPLICATES:
            rows.writerow([rng.choice(good).upper() if i % 2 else rng.choice(good), first, last, "", "again"])
        if rng.random() < BROKEN_SHARE:
            rows.writerow([rng.choice(BROKEN).format(n=i), first, last, "", ""])
            broken += 1
    return b"\xef\xbb\xbf" + out.getvalue().encode(), good, broken
