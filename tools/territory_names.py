"""Writes what people call territories: `python -m tools.territory_names`; the names are CLDR's, by way of babel.

The table is made here and not when it is needed: babel keeps whole languages in memory, fifty megabytes for these names. Names are taken
in English and in the official languages of every territory whose law we know; elsewhere the strictest law applies by name or without.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

from babel import localedata
from babel.core import get_global
from babel.languages import get_official_languages

from postlaw_law.loading import the_law
from postlaw_law.words import STRICTEST

TABLE = Path(__file__).resolve().parents[1] / "services/subscribers/postlaw_subscribers/domain/territory_names.json"

# In CLDR beside the countries of ISO 3166-1: groups of states, test data, and what is reserved for parts of states.
NOT_COUNTRIES = frozenset({"AC", "CP", "CQ", "DG", "EA", "EU", "EZ", "IC", "QO", "TA", "UN", "XA", "XB", STRICTEST})

# What CLDR has only as variants, which babel leaves out; EL is the European Union's own code for Greece.
ALSO = {
    "CZ": ("czech republic",),
    "GB": ("england", "great britain", "northern ireland", "scotland", "wales"),
    "GR": ("el",),
    "NL": ("holland", "the netherlands"),
    "US": ("united states of america", "u.s.a.", "u.s."),
}


def made() -> dict[str, list[str]]:
    """By ISO 3166-1 alpha-2 code, everything that means this territory alone, in lower case and in order; the code itself is the first."""
    languages = {"en"} | {language for code in the_law().regime_of for language in get_official_languages(code, de_facto=True)}
    meant: dict[str, set[str]] = defaultdict(set)
    for language in languages:
        if localedata.exists(language):
            for code, name in localedata.load(language).get("territories", {}).items():
                if len(code) == 2 and code.isalpha() and code not in NOT_COUNTRIES:
                    meant[name.casefold()].add(code)
    codes = set().union(*meant.values())
    for alias, replaced_by in get_global("territory_aliases").items():
        if alias == "UK" or (len(alias) == 3 and alias.isalpha()):  # of two letters there are else only codes that ISO took back
            meant[alias.casefold()] |= set(replaced_by) & codes
    for code, names in ALSO.items():
        for name in names:
            meant[name].add(code)
    found: dict[str, list[str]] = {code: [] for code in sorted(codes)}
    for name, of in sorted(meant.items()):
        if len(of) == 1 and (code := min(of)).casefold() != name:
            found[code].append(name)
    return found


def text_of(names: dict[str, list[str]]) -> str:
    """A line a territory."""
    lines = [f"  {json.dumps(code)}: {json.dumps(of, ensure_ascii=False)}" for code, of in names.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    TABLE.write_text(text_of(made()), encoding="utf-8")
