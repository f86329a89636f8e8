"""A CSV that looks like real life: byte-order mark, quoted newlines, mixed case, plus-addresses, IDN domains, countries by code and by
name, duplicates, broken rows, and a few people for whose consent there is nothing to show.
"""

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
COUNTRIES = (
    "DE", "Deutschland", "Germany", "AT", "Österreich", "FR", "France", "IE", "Ireland", "NL", "Nederland", "ES", "España", "PL", "Polska",
    "SE", "Sverige", "DK", "GB", "UK", "United Kingdom", "US", "USA", "United States", "CA", "Canada", "AU", "Australia", "",
)  # fmt: skip
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
# What Acme attests of everyone whose row says nothing else: evidence for the strictest law, which applies where a territory is not known.
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
NOWHERE_SHARE = 0.005
UNSHOWN_SHARE = 0.005
CAPTURED_SHARE = 0.3


def address(i: int, rng: random.Random) -> str:
    """The i-th person's address; no two people share one, whatever its case."""
    local = f"person{i}"
    if i % 7 == 0:
        local = f"person+news{i}"
    if i % 11 == 0:
        local = f"Person.{i}"
    return f"{local}@{rng.choice(DOMAINS)}"


def people_csv(people: int, seed: int = 2026) -> tuple[bytes, list[str], list[str]]:
    """(the file, the addresses of those who may be mailed, of those for whose consent there is nothing to show); `people` in all."""
    rng, cells = random.Random(seed), random.Random(seed + 1)
    out = io.StringIO(newline="")
    rows = csv.writer(out)
    rows.writerow(["Email", "first_name", "last_name", "city", "country", "evidence", "notes"])
    good: list[str] = []
    unshown: list[str] = []
    for i in range(people):
        to = address(i, rng)
        good.append(to)
        notes = "first line\nsecond, with a comma" if i % 50 == 0 else "=HYPERLINK(1)" if i % 331 == 0 else ""
        first, last = rng.choice(FIRST), rng.choice(LAST)
        country = "n/a" if cells.random() < NOWHERE_SHARE else cells.choice(COUNTRIES)
        graded = cells.random()
        evidence = "none" if graded < UNSHOWN_SHARE else "captured" if graded < CAPTURED_SHARE else ""
        if evidence == "none":
            unshown.append(to)
        rows.writerow([to, first, last, rng.choice(CITIES), country, evidence, notes])
        if rng.random() < DUPLICATES:
            rows.writerow([rng.choice(good).upper() if i % 2 else rng.choice(good), first, last, "", "", "", "again"])
        if rng.random() < BROKEN_SHARE:
            rows.writerow([rng.choice(BROKEN).format(n=i), first, last, "", "", "", ""])
    silent = set(unshown)
    return b"\xef\xbb\xbf" + out.getvalue().encode(), [to for to in good if to not in silent], unshown
