"""Which territory a cell means: by its ISO 3166-1 alpha-2 code, or by a name that means one territory alone.

The names are CLDR's (`tools/territory_names.py` makes the table), in English and in the languages of the territories whose law we know.
"""

from __future__ import annotations

import json
import unicodedata
from functools import cache
from pathlib import Path

_TABLE = Path(__file__).with_name("territory_names.json")


def territory_of(cell: str) -> str:
    """The alpha-2 code; "" where the cell means no territory, or might mean several."""
    return _meant().get(unicodedata.normalize("NFC", " ".join(cell.split())).casefold(), "")


def is_territory(code: str) -> bool:
    """An alpha-2 code as ISO writes it."""
    return len(code) == 2 and code.isupper() and territory_of(code) == code


@cache
def _meant() -> dict[str, str]:
    table: dict[str, list[str]] = json.loads(_TABLE.read_text(encoding="utf-8"))
    return {name: code for code, names in table.items() for name in (code.casefold(), *names)}
