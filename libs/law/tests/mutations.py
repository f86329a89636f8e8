"""Changes of one parameter of one rule of the law, each of which some case must notice."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from datetime import date, timedelta
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from postlaw_law.law import Law, Regime
from postlaw_law.rules import Rule

NAMES = frozenset({"id", "section", "cases", "replaces"})

# A word more in one of these is another rule's already, which no case can tell apart, or no fact that the regime's cases may state.
ONLY_SHORTENED = frozenset({"defects", "duties", "events", "marketing_requires", "pauses", "providers"})


def parameters(rule: Rule, regime: Regime) -> Iterator[str]:
    """Those that the rule's file states: a default is none until a file says otherwise, and the regime's first day is the regime's."""
    for field in fields(rule):
        value = getattr(rule, field.name)
        if field.name not in NAMES and value not in (field.default, regime.effective_from):
            yield field.name


def changed(rule: Rule, name: str) -> Iterator[tuple[str, Rule]]:
    """The rule with this parameter changed in each way, and a word for the change."""
    value = getattr(rule, name)
    for other in _others(name, get_type_hints(type(rule))[name], value):
        yield f"{name}: {value!r} → {other!r}"[:200], _replaced(rule, {name: other})


def _replaced(rule: Rule, values: Mapping[str, Any]) -> Rule:
    return replace(rule, **values)


def _others(name: str, hint: Any, value: Any) -> Iterator[Any]:
    if isinstance(value, tuple):
        for n in range(len(value)):
            yield value[:n] + value[n + 1 :]
        if name not in ONLY_SHORTENED:
            vocabulary = get_args(get_args(hint)[0]) or ("US", "MX")
            yield from [(*value, word) for word in vocabulary if word not in value][:1]
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield value + 1
        yield value - 1
    elif isinstance(value, date):
        yield value + timedelta(days=1)
    else:
        words = next((get_args(one) for one in _alternatives(hint) if get_origin(one) is Literal), (f"not {value}",))
        yield next(word for word in words if word != value)


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def with_rule(law: Law, rule: Rule, instead: Rule) -> Law:
    """The law with this rule changed, in its regime and in those that inherit it."""

    def of(regime: Regime) -> Regime:
        if rule not in regime.rules:
            return regime
        return replace(regime, rules=tuple(instead if one == rule else one for one in regime.rules))

    return replace(law, regimes={name: of(regime) for name, regime in law.regimes.items()})


def begun_later(law: Law, name: str) -> Law:
    """The law with a regime's first day a day later, and that of the regimes that take it from there."""
    first = law.regimes[name].effective_from
    later = first + timedelta(days=1)

    def of(regime: Regime) -> Regime:
        if regime.effective_from != first:
            return regime
        rules = tuple(_replaced(rule, {"effective_from": later}) if rule.effective_from == first else rule for rule in regime.rules)
        return replace(regime, effective_from=later, rules=rules)

    return replace(law, regimes={name: of(regime) for name, regime in law.regimes.items()})
