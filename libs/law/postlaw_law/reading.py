"""From the text of one law file to its rules. Whatever is wrong is refused with file and line, what it is, and what to do."""

from __future__ import annotations

import re
import tomllib
import types
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from datetime import date
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from postlaw_law.rules import KINDS, Rule
from postlaw_law.spelling import is_territory_code

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

D = TypeVar("D", bound="DataclassInstance")

_UNIONS = (types.UnionType, Union)  # a Literal | None is the second
_KEY = re.compile(r"\s*([A-Za-z0-9_-]+)\s*=")


class LawRefused(Exception):
    """A law file that does not hold together. `line` counts from 1."""

    def __init__(self, file: str, line: int, wrong: str, remedy: str) -> None:
        super().__init__(f"{file}:{line}: {wrong}; {remedy}")
        self.file = file
        self.line = line


@dataclass(frozen=True, slots=True)
class Placed:
    """A rule and the lines that say it: `lines` by key, "" for the head of its table."""

    rule: Rule
    lines: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class LawFile:
    name: str
    regime: str
    title: str
    territories: tuple[str, ...]
    effective_from: date | None  # None: as the file that it extends
    extends: str | None
    tables: tuple[tuple[dict[str, Any], Mapping[str, int]], ...]
    lines: Mapping[str, int]

    def refusal(self, line: int, wrong: str, remedy: str) -> LawRefused:
        return LawRefused(self.name, line, wrong, remedy)


@dataclass(frozen=True, slots=True)
class _Head:
    regime: str
    title: str
    territories: tuple[str, ...]
    effective_from: date | None = None
    extends: str | None = None


def read_law_file(name: str, text: str) -> LawFile:
    """The head, and the rules' tables as they stand. Raises LawRefused."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as wrong:
        found = re.search(r"at line (\d+)", str(wrong))
        raise LawRefused(name, int(found[1]) if found else 1, f"not TOML: {wrong}", "correct the syntax") from None
    head_lines, rule_lines = _lines(text)
    tables = document.pop("rule", [])
    head = _read(name, _Head, document, head_lines, "a law file")
    for territory in head.territories:
        if not is_territory_code(territory):
            line = head_lines["territories"]
            raise LawRefused(name, line, f"{territory!r} is no territory", "name each by its ISO 3166-1 alpha-2 code, such as FR")
    if head.effective_from is None and head.extends is None:
        raise LawRefused(name, 1, "effective_from is missing", "say from which day the regime is in force, as 2014-07-01")
    if not isinstance(tables, list) or len(tables) != len(rule_lines):
        raise LawRefused(name, 1, "rules are not written as [[rule]] tables", "write [[rule]] on a line of its own before each")
    placed = tuple(zip(tables, rule_lines, strict=True))
    return LawFile(name, head.regime, head.title, head.territories, head.effective_from, head.extends, placed, head_lines)


def read_rules(file: LawFile, begins: date) -> tuple[Placed, ...]:
    """`begins`: the regime's first day, for rules that name none. Raises LawRefused."""
    return tuple(_rule(file.name, dict(table), lines, begins) for table, lines in file.tables)


def _lines(text: str) -> tuple[dict[str, int], list[dict[str, int]]]:
    """The line of each key: of the head, and of each [[rule]] in turn."""
    head: dict[str, int] = {"": 1}
    rules: list[dict[str, int]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() == "[[rule]]":
            rules.append({"": number})
        elif (key := _KEY.match(line)) is not None:
            (rules[-1] if rules else head).setdefault(key[1], number)
    return head, rules


def _rule(name: str, table: dict[str, Any], lines: Mapping[str, int], begins: date) -> Placed:
    kind = table.pop("kind", None)
    if not isinstance(kind, str) or kind not in KINDS:
        wrong = "kind is missing" if kind is None else f"kind {kind!r} is unknown"
        raise LawRefused(name, lines.get("kind", lines[""]), wrong, f"one of {', '.join(KINDS)}")
    rule = _read(name, KINDS[kind], {"effective_from": begins, **table}, lines, f"a rule of kind {kind}")
    for key in ("id", "section"):
        if not getattr(rule, key).strip():
            raise LawRefused(name, lines[key], f"{key} is empty", "every rule has a name and names where the law says so")
    if rule.effective_to is not None and rule.effective_to < rule.effective_from:
        wrong = f"rule {rule.id} ends on {rule.effective_to}, before it begins on {rule.effective_from}"
        raise LawRefused(name, lines["effective_to"], wrong, "effective_to is the last day in force")
    return Placed(rule, lines)


@cache
def _hints(shape: type) -> dict[str, Any]:
    return get_type_hints(shape)


def _read(name: str, shape: type[D], table: dict[str, Any], lines: Mapping[str, int], what: str) -> D:
    hints = _hints(shape)
    for key in table:
        if key not in hints:
            raise LawRefused(name, lines.get(key, lines[""]), f"{key} is no parameter of {what}", f"there are {', '.join(hints)}")
    values: dict[str, Any] = {}
    for field in fields(shape):
        if field.name in table:
            values[field.name] = _value(name, field.name, hints[field.name], table[field.name], lines)
        elif field.default is MISSING:
            raise LawRefused(name, lines[""], f"{field.name} is missing in {what}", f"add {field.name} = {_form(hints[field.name])}")
    return shape(**values)


def _value(name: str, key: str, hint: Any, value: Any, lines: Mapping[str, int]) -> Any:
    if get_origin(hint) is tuple:
        item = get_args(hint)[0]
        if isinstance(value, list) and all(_fits(item, one) for one in value) and len(set(value)) == len(value):
            return tuple(value)
    elif _fits(hint, value):
        return value
    raise LawRefused(name, lines.get(key, lines[""]), f"{key} is {value!r}", f"it must be {_form(hint)}")


def _fits(hint: Any, value: Any) -> bool:
    if get_origin(hint) in _UNIONS:
        return any(_fits(one, value) for one in get_args(hint))
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if hint is int:
        return type(value) is int and value >= 0
    return type(value) is hint


def _form(hint: Any) -> str:
    """What a value of this type looks like, for whoever has to write one."""
    if get_origin(hint) is tuple:
        return f"a list without repetition, each {_form(get_args(hint)[0])}"
    if get_origin(hint) in _UNIONS:
        return _form(get_args(hint)[0])
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(repr(one) for one in get_args(hint))
    return {int: "a whole number, not negative", bool: "true or false", date: "a day, as 2014-07-01", str: "a text"}[hint]
