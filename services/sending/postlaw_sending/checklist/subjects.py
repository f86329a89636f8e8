"""Subjects that deceive, by rules (subjects.toml). 15 U.S.C. 7704(a)(2); CASL and the Competition Act, s. 74.011; Directive 2005/29/EC."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from postlaw_sending.checklist.items import State

_TAGS: Final = r"^\W*(?:\[[^\]]{0,40}\]\s*)*\W*"


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to deceive. `pattern` finds the words that do."""

    name: str
    state: State
    what: str
    pattern: re.Pattern[str]


def _kinds() -> Sequence[Kind]:
    rules = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    return [
        Kind(
            name,
            rule["state"],
            rule["what"],
            re.compile("|".join([*(f"{_TAGS}(?:{one})" for one in rule["begins"]), *rule["holds"]]), re.IGNORECASE),
        )
        for name, rule in rules.items()
    ]


KINDS: Final = _kinds()


def deceptions(subject: str) -> list[tuple[Kind, str]]:
    """Each kind that it is of, with the words that say so."""
    return [(kind, found[0].strip()) for kind in KINDS if (found := kind.pattern.search(subject)) is not None]
