"""Objections, and consent to being tracked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from postlaw_common.testing.promises import promise
from postlaw_consent.domain.event import Route
from postlaw_consent.domain.fact import Terms
from postlaw_consent.domain.scope import EVERYTHING

from .histories import PROVEN, A, codes, decision, fact


@promise("G8")
@pytest.mark.parametrize("objection", ["", "marketing", "legitimate_interest"])
def test_an_objection_stops_all_marketing_until_a_fresh_consent(objection: str) -> None:
    history = [fact(1, "given", A), fact(2, "objected", A, 1, terms=Terms(objection=objection))]
    assert codes(history, A) == ["SUPPRESSED_ALL"]
    assert decision([*history, fact(3, "given", A, 2)], A).allow


@promise("G8")
def test_an_objection_to_profiling_ends_tracking_and_leaves_the_mail() -> None:
    history = [fact(1, "given", A), fact(2, "tracking_given", EVERYTHING, 1)]
    assert decision(history, A).tracking.open
    after = decision([*history, fact(3, "objected", EVERYTHING, 2, terms=Terms(objection="profiling"))], A)
    assert after.allow
    assert not after.tracking.open


@promise("M9")
def test_tracking_follows_the_latest_word_and_a_no_wins_within_one_moment() -> None:
    history = [fact(1, "given", A), fact(2, "tracking_withdrawn", EVERYTHING, 1), fact(3, "tracking_given", EVERYTHING, 1)]
    assert not decision(history, A).tracking.click
    assert decision([*history, fact(4, "tracking_given", EVERYTHING, 2)], A).tracking.click


@promise("M9")
def test_a_no_to_tracking_is_not_taken_back_by_an_import_nor_by_what_somebody_attests() -> None:
    history = [fact(1, "given", A), fact(2, "tracking_withdrawn", EVERYTHING, 1)]
    yeses: list[tuple[Route, bool]] = [("import", False), ("api", True)]
    for route, attested in yeses:
        yes = fact(3, "tracking_given", EVERYTHING, 2, route, replace(PROVEN, attested=attested))
        assert not decision([*history, yes], A).tracking.open
        assert decision([history[0], yes._replace(version=2)], A).tracking.open
    assert decision([*history, fact(3, "tracking_given", EVERYTHING, 2)], A).tracking.open
