"""Loads the law: the one module here that reads files. A law that does not hold together is refused as a whole, with file and line."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict
from datetime import date, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path

from postlaw_law.law import MAILBOXES, Law, Regime
from postlaw_law.reading import LawFile, LawRefused, Placed, read_law_file, read_rules
from postlaw_law.rules import Classes, OptOuts, Route, Rule, Tracking
from postlaw_law.words import CODE_OF_MESSAGE_FACT, EXPRESS, STRICTEST

REGIMES = Path(__file__).parent / "regimes"

# A regime has one of each in force, from its first day on.
ONE_OF_EACH: tuple[type[Rule], ...] = (Classes, Tracking, OptOuts)


@cache
def the_law() -> Law:
    """The law that this release ships."""
    return load_law(REGIMES)


def load_law(directory: Path, known_cases: Collection[str] | None = None) -> Law:
    """Every *.toml there. `known_cases`: ids of the cases that rules may name; None where the cases are not at hand. Raises LawRefused."""
    return law_of(law_texts(directory), known_cases)


def law_texts(directory: Path = REGIMES) -> dict[str, str]:
    """The files of a law, by name."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(directory.glob("*.toml"))}


def read_json(path: Path) -> object:
    """OSError where it cannot be read, ValueError where it is no JSON."""
    return json.loads(path.read_text(encoding="utf-8"))


def law_of(texts: Mapping[str, str], known_cases: Collection[str] | None = None) -> Law:
    """The law that these files, by name, say. Raises LawRefused."""
    files = {name: read_law_file(name, text) for name, text in texts.items()}
    by_regime: dict[str, LawFile] = {}
    for file in files.values():
        if file.regime in by_regime:
            raise file.refusal(file.lines["regime"], f"{by_regime[file.regime].name} is regime {file.regime} too", "a file a regime")
        by_regime[file.regime] = file
    begins = {file.regime: _begins(file, by_regime) for file in files.values()}
    rules = {file.regime: read_rules(file, begins[file.regime]) for file in files.values()}
    regimes: dict[str, Regime] = {}
    regime_of: dict[str, str] = {}
    for file in files.values():
        inherited = [(by_regime[file.extends], one) for one in rules[file.extends]] if file.extends else []
        placed = _with_inherited(file, rules[file.regime], inherited)
        regime = Regime(file.regime, file.title, file.territories, begins[file.regime], tuple(one.rule for _, one in placed))
        _check_versions(placed, regime)
        _check_cases(file, rules[file.regime], known_cases)
        if file.regime != MAILBOXES:
            _check_kinds(file, placed, regime)
        regimes[file.regime] = regime
        for territory in file.territories:
            if territory in regime_of:
                line = file.lines["territories"]
                raise file.refusal(line, f"{territory} is a territory of {regime_of[territory]} too", "a territory has one regime")
            regime_of[territory] = file.regime
    if STRICTEST not in regimes:
        raise LawRefused(f"{STRICTEST.lower()}.toml", 1, "there is no strictest default", f"add the file of regime {STRICTEST}")
    return Law(_version(regimes), regimes, regime_of)


def _begins(file: LawFile, by_regime: Mapping[str, LawFile]) -> date:
    """The regime's first day: its own, or that of the one it extends."""
    if file.extends is not None:
        parent = by_regime.get(file.extends)
        if parent is None or parent.extends is not None:
            wrong = f"extends {file.extends!r}, which is no regime of its own"
            raise file.refusal(file.lines["extends"], wrong, "name the regime of a file that extends none")
        inherited = parent.effective_from
    else:
        inherited = None
    begins = file.effective_from or inherited
    assert begins is not None  # read_law_file asks for it where a file extends none
    return begins


def _with_inherited(file: LawFile, rules: Iterable[Placed], inherited: Iterable[tuple[LawFile, Placed]]) -> list[tuple[LawFile, Placed]]:
    """The rules in order, each with its file: a rule that replaces one stands in its place."""
    order: dict[str, list[tuple[LawFile, Placed]]] = {}
    for parent, one in inherited:
        order.setdefault(one.rule.id, []).append((parent, one))
    names = set(order)
    own: dict[str, list[tuple[LawFile, Placed]]] = {}
    for one in rules:
        place = one.rule.replaces or one.rule.id
        if one.rule.replaces is not None and place not in names:
            wrong = f"rule {one.rule.id} replaces {place}, which is not there"
            raise file.refusal(one.lines["replaces"], wrong, "name a rule of the file that this one extends")
        if one.rule.replaces is None and place in names:
            raise file.refusal(one.lines["id"], f"rule {place} is inherited", f'give it a name of its own, and replaces = "{place}"')
        own.setdefault(place, []).append((file, one))
    order.update(own)
    return [one for versions in order.values() for one in versions]


def _check_versions(placed: list[tuple[LawFile, Placed]], regime: Regime) -> None:
    """Versions of a rule follow each other without gap or overlap, and one that replaces another begins with the regime."""
    versions: dict[str, list[tuple[LawFile, Placed]]] = {}
    for file, one in placed:
        versions.setdefault(one.rule.id, []).append((file, one))
    for id, those in versions.items():
        those.sort(key=lambda version: version[1].rule.effective_from)
        file, first = those[0]
        if first.rule.replaces is not None and first.rule.effective_from > regime.effective_from:
            wrong = f"gap: rule {id} begins on {first.rule.effective_from}, and {first.rule.replaces} does not hold before it"
            raise file.refusal(first.lines["effective_from"], wrong, f"say what holds from {regime.effective_from} on")
        for (_, earlier), (file, later) in pairwise(those):
            ends, begins = earlier.rule.effective_to, later.rule.effective_from
            line = later.lines.get("effective_from", later.lines[""])
            if ends is None or begins <= ends:
                last = begins - timedelta(days=1)
                wrong = (
                    f"overlap: rule {id} from {begins} on, while its version before {'never ends' if ends is None else f'ends on {ends}'}"
                )
                raise file.refusal(line, wrong, f"let that one end on {last} (effective_to)")
            if begins != ends + timedelta(days=1):
                wrong = f"gap: rule {id} ends on {ends} and goes on only on {begins}"
                raise file.refusal(line, wrong, f"let it begin on {ends + timedelta(days=1)}")


def _check_cases(file: LawFile, rules: Iterable[Placed], known: Collection[str] | None) -> None:
    for one in rules:
        if not one.rule.cases:
            raise file.refusal(one.lines["cases"], f"rule {one.rule.id} names no case", "name a case that fails where the rule is wrong")
        for id in one.rule.cases:
            if known is not None and id not in known:
                raise file.refusal(one.lines["cases"], f"case {id!r} is unknown", "name a vector, or write the case")


def _check_kinds(file: LawFile, placed: list[tuple[LawFile, Placed]], regime: Regime) -> None:
    for kind in ONE_OF_EACH:
        those = [(file, one) for file, one in placed if isinstance(one.rule, kind)]
        if len({one.rule.id for _, one in those}) > 1:
            place, second = those[-1]
            wrong = f"overlap: rules {those[0][1].rule.id} and {second.rule.id} are both of kind {kind.__name__.lower()}"
            raise place.refusal(second.lines[""], wrong, "a regime has one; give versions of it one id")
        if not those or min(one.rule.effective_from for _, one in those) > regime.effective_from:
            wrong = f"gap: no rule of kind {kind.__name__.lower()} from {regime.effective_from} on"
            raise file.refusal(file.lines["regime"], wrong, "a regime has one from its first day")
    routes: dict[str, str] = {}
    for place, one in placed:
        rule = one.rule
        if not isinstance(rule, Route):
            continue
        if rule.message is not None and rule.message not in CODE_OF_MESSAGE_FACT:
            remedy = f"one of {', '.join(CODE_OF_MESSAGE_FACT)}"
            raise place.refusal(one.lines["message"], f"no route asks for {rule.message}", remedy)
        for event in rule.events:
            if routes.setdefault(event, rule.id) != rule.id:
                raise place.refusal(
                    one.lines["events"], f"overlap: {event} is an event of rule {routes[event]} too", "an event has one route"
                )
    if EXPRESS not in routes:
        raise file.refusal(file.lines["regime"], "gap: no route by express_consent", "a way back after an opt-out must be there")


def _version(regimes: Mapping[str, Regime]) -> str:
    """Over what decides: names of cases and comments may change without a new law."""
    content = [
        [
            regime.name,
            regime.territories,
            regime.effective_from,
            [[type(rule).__name__, {**asdict(rule), "cases": ()}] for rule in regime.rules],
        ]
        for _, regime in sorted(regimes.items())
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":"), default=str).encode()).hexdigest()
