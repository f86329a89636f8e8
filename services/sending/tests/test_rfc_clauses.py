"""Whatever clause of an RFC sending's code says it relies on, a test names as well, beside what proves it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

SERVICE = Path(__file__).resolve().parents[1]
MESH_TESTS = SERVICE.parents[1] / "libs/mesh/tests"
_NAME = re.compile(r'RFC (\d{3,5})|§(\d+(?:\.\d+)*)|("""|ISO \d)')
_WRAPPED = re.compile(r"\s*\n\s*#?\s*")


def clauses(text: str) -> set[tuple[str, str]]:
    """(RFC, section): a section is of the RFC that was named last, within one docstring, unless another standard was."""
    found: set[tuple[str, str]] = set()
    rfc = ""
    for number, section, other in _NAME.findall(_WRAPPED.sub(" ", text)):
        rfc = "" if other else number or rfc
        if section and rfc:
            found.add((rfc, section))
    return found


def named(modules: Iterable[Path]) -> set[tuple[str, str]]:
    return set[tuple[str, str]]().union(*(clauses(module.read_text(encoding="utf-8")) for module in modules))


def test_every_clause_that_the_code_relies_on_is_named_by_a_test() -> None:
    code = named(each for each in (SERVICE / "postlaw_sending").rglob("*.py") if "testing" not in each.parts)
    assert ("5321", "4.2.1") in code and ("6376", "5.4.2") in code
    assert code - named([*(SERVICE / "tests").rglob("*.py"), *MESH_TESTS.rglob("*.py")]) == set()
