"""Pauses and restrictions of processing: when they end, and who may end them."""

from __future__ import annotations

import pytest

from postlaw_common.testing.promises import promise
from postlaw_consent.domain.event import Kind, Route
from postlaw_consent.domain.fact import Terms
from postlaw_consent.domain.scope import EVERYTHING

from .histories import DAY, START, A, codes, decision, fact


@promise("G7")
def test_a_pause_ends_by_itself_at_its_second_or_when_the_person_resumes() -> None:
    ends = START + 5 * DAY
    history = [fact(1, "given", A), fact(2, "paused", EVERYTHING, 1, terms=Terms(until_us=ends))]
    assert codes(history, A, ends - 1) == ["PAUSED"]
    assert decision(history, A, ends).allow
    assert decision([*history, fact(3, "resumed", EVERYTHING, 2)], A, ends - 1).allow
    assert codes([*history, fact(3, "unrestricted", EVERYTHING, 2)], A, ends - 1) == ["PAUSED"]


@promise("G7")
def test_a_shorter_pause_does_not_shorten_the_one_that_stands() -> None:
    def until(day: int) -> Terms:
        return Terms(until_us=START + day * DAY)

    longer = [fact(1, "given", A), fact(2, "paused", EVERYTHING, 1, terms=until(40)), fact(3, "paused", EVERYTHING, 2, terms=until(3))]
    assert codes(longer, A) == ["PAUSED"]
    assert decision([*longer, fact(4, "resumed", EVERYTHING, 3), fact(5, "paused", EVERYTHING, 4, terms=until(5))], A).allow


@promise("G7")
def test_a_restriction_stands_until_it_is_lifted() -> None:
    history = [fact(1, "given", A), fact(2, "restricted", EVERYTHING, 1)]
    assert codes(history, A) == ["RESTRICTED"]
    assert codes([*history, fact(3, "resumed", EVERYTHING, 2), fact(4, "given", A, 3)], A) == ["RESTRICTED"]
    assert decision([*history, fact(3, "unrestricted", EVERYTHING, 2)], A).allow


@promise("G7", "M6")
@pytest.mark.parametrize(("kind", "end"), [("paused", "resumed"), ("restricted", "unrestricted")])
def test_a_pause_and_a_restriction_are_ended_neither_by_an_import_nor_by_what_was_said_before_them(kind: Kind, end: Kind) -> None:
    history = [fact(1, "given", A), fact(2, kind, EVERYTHING, 5, terms=Terms())]
    ends: list[tuple[Route, int]] = [("import", 6), ("api", 4), ("api", 5)]
    for route, day in ends:
        assert codes([*history, fact(3, end, EVERYTHING, day, route, Terms())], A) == [kind.upper()]
    again = [*history, fact(3, kind, EVERYTHING, 8, terms=Terms())]
    assert codes([*again, fact(4, end, EVERYTHING, 7, terms=Terms())], A) == [kind.upper()]
    assert codes([*again, fact(4, end, EVERYTHING, 9, terms=Terms(attested=True))], A) == [kind.upper()]
    assert decision([*again, fact(4, end, EVERYTHING, 9, terms=Terms())], A).allow
