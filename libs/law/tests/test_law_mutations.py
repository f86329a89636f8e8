"""Whatever single parameter of the law is changed, a case that its rule names fails: the law is held in place by its cases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from libs.law.tests import law_cases, mutations
from postlaw_law.law import Law, Regime
from postlaw_law.loading import REGIMES, load_law, the_law
from postlaw_law.rules import Rule

LAW = the_law()


def rules() -> Iterator[tuple[Regime, Rule]]:
    """Each rule once, with the regime whose file says it first."""
    seen: set[Rule] = set()
    for regime in LAW.regimes.values():
        for rule in regime.rules:
            if rule not in seen:
                seen.add(rule)
                yield regime, rule


def notices(id: str, law: Law) -> bool:
    try:
        return not law_cases.run(id, law).passed
    except LookupError:  # a law that the loader would refuse: nothing in force that day
        return True


@pytest.mark.parametrize(("regime", "rule"), [pytest.param(*both, id=f"{both[1].id}-{both[1].effective_from}") for both in rules()])
def test_a_changed_parameter_fails_a_case_that_its_rule_names(regime: Regime, rule: Rule) -> None:
    unnoticed: list[str] = []
    for name in mutations.parameters(rule, regime):
        for change, instead in mutations.changed(rule, name):
            changed = mutations.with_rule(LAW, rule, instead)
            if not any(notices(id, changed) for id in rule.cases):
                unnoticed.append(change)
    assert not unnoticed


@pytest.mark.parametrize("name", ["US", "CA", "EU", "UK", "AU", "MAILBOX"])
def test_a_regime_that_began_a_day_later_fails_a_case(name: str) -> None:
    changed = mutations.begun_later(LAW, name)
    assert any(notices(id, changed) for id in law_cases.BY_ID)


@pytest.mark.parametrize("territory", sorted(set(LAW.regime_of) - {"ZZ"}))
def test_a_territory_that_is_taken_out_fails_a_case(territory: str) -> None:
    left = {place: regime for place, regime in LAW.regime_of.items() if place != territory}
    changed = replace(LAW, regime_of=left)
    assert any(notices(id, changed) for id in law_cases.BY_ID)


def test_every_case_that_a_rule_names_is_there() -> None:
    assert load_law(REGIMES, known_cases=law_cases.BY_ID).version == LAW.version
