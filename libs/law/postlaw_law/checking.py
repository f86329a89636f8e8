"""Runs cases in the format of the vectors and says which answers differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from postlaw_law import bulk_cases, cases, clock_cases
from postlaw_law.case_fields import CaseInvalid, Fields
from postlaw_law.deciding import decide
from postlaw_law.law import Law

_FILE_FIELDS = frozenset({"schema", "schema_version", "note", "vectors"})
_INSTANTS = frozenset({"expires_at", "due_at"})

# An expectation must speak of these, present or absent; the rest of an answer is compared where it is expected.
_ALWAYS = frozenset({"allow", "reasons", "basis", "expires_at", "applies"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one case gave: `answer` is None where the case cannot be read, and `wrong` says why. `differs`: the fields that do."""

    id: str
    expected: dict[str, Any]
    answer: dict[str, Any] | None
    differs: tuple[str, ...] = ()
    wrong: str = ""

    @property
    def passed(self) -> bool:
        return self.answer is not None and not self.differs


def check(document: object, law: Law) -> Iterator[Outcome]:
    """Every case of a file, in its order. Raises CaseInvalid where the document is no file of vectors."""
    file = Fields(document, "", _FILE_FIELDS)
    schema = file.text("schema")
    if schema not in _SCHEMAS:
        raise CaseInvalid(f"schema: it is {schema!r}, and must be one of {', '.join(_SCHEMAS)}")
    if file.number("schema_version") != 1:
        raise CaseInvalid("schema_version: this release reads version 1")
    known, answer = _SCHEMAS[schema]
    seen: set[str] = set()
    for n, vector in enumerate(file.listed("vectors")):
        yield _outcome(n, vector, seen, known, lambda case: answer(case, law))


def _outcome(n: int, vector: object, seen: set[str], known: frozenset[str], answer: Callable[[Fields], dict[str, Any]]) -> Outcome:
    id, expected = f"vectors[{n}]", dict[str, Any]()
    try:
        name = Fields(vector, "", None).text("id")
        if not (name and name.isprintable()):
            raise CaseInvalid(f"id: it is {name!r}, and must be a text that can be shown on a line")
        id = name
        case = Fields(vector, "", known)
        if id in seen:
            raise CaseInvalid(f"id: {id} stands twice in this file")
        seen.add(id)
        expected = _expected(case)
        found = answer(case)
    except CaseInvalid as wrong:
        return Outcome(id, expected, None, wrong=str(wrong))
    found = {name: value for name, value in found.items() if name in _ALWAYS or name in expected}
    names = sorted(found.keys() | expected.keys())
    return Outcome(id, expected, found, tuple(name for name in names if not _same(name, expected.get(name), found.get(name))))


def _expected(case: Fields) -> dict[str, Any]:
    expected = case.mapping("expect")
    if not expected:
        raise CaseInvalid("expect: missing; say what the answer must be")
    said = case.child("expect", None)
    for name in (name for name in _INSTANTS if expected.get(name) is not None):
        said.instant(name)
    said.flag("allow")
    said.texts("reasons", [])
    return expected


def _same(name: str, expected: object, found: object) -> bool:
    if name in _INSTANTS and isinstance(expected, str) and isinstance(found, str):
        return datetime.fromisoformat(expected) == datetime.fromisoformat(found)
    if name == "reasons" and expected is not None:
        return sorted(cast("list[str]", expected)) == found
    return expected == found


def _decision(case: Fields, law: Law) -> dict[str, Any]:
    facts, now, asked = cases.read_case(case)
    return cases.answer_of(decide(facts, law, now), asked)


_SCHEMAS: dict[str, tuple[frozenset[str], Callable[[Fields, Law], dict[str, Any]]]] = {
    "decision-vectors": (cases.CASE_FIELDS, _decision),
    "clock-vectors": (clock_cases.CASE_FIELDS, clock_cases.due),
    "bulk-vectors": (bulk_cases.CASE_FIELDS, bulk_cases.requirements),
}
