"""Histories of one person for tests of the fold and the law: any that the ledger can hold, and single facts by the day."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import get_args

from hypothesis import strategies as st

from postlaw_consent.domain.event import Kind, Route
from postlaw_consent.domain.fact import Fact, Terms
from postlaw_consent.domain.fold import fold
from postlaw_consent.domain.gate import Gate
from postlaw_consent.domain.message import Asked, Sender
from postlaw_consent.domain.scope import EVERYTHING, Belongs, Scope
from postlaw_law.clocks import microseconds
from postlaw_law.decision import Decision
from postlaw_law.loading import the_law
from postlaw_law.words import Evidence

LAW = the_law()
SECOND = 1_000_000
DAY = 86_400 * SECOND
START = microseconds(datetime(2026, 10, 1, 12, tzinfo=UTC))
NOW = START + 30 * DAY

X, Y = Scope("brand", "X"), Scope("brand", "Y")
SCOPES = [Scope("list", "a"), Scope("list", "b"), Scope("topic", "a"), X, Y, EVERYTHING]
# What messages belong to: the lists to a brand, the topic to none that is known.
MESSAGES = [Belongs(Scope("list", "a"), "X"), Belongs(Scope("list", "b"), "Y"), *map(Belongs, SCOPES[2:])]
KINDS: list[Kind] = list(get_args(Kind))
ROUTES: list[Route] = ["api", "import", "one_click", "page"]
ALL: frozenset[Evidence] = frozenset(get_args(Evidence))
PROVEN = Terms(held=ALL)
A, B = Scope("list", "a"), Scope("list", "b")

some_terms = st.builds(
    Terms,
    relationship=st.sampled_from(["purchase", "contract", "membership", "inquiry"]),
    held=st.sampled_from([ALL, ALL, ALL - {"purpose"}, frozenset[Evidence]()]),
    territories=st.sampled_from([(), ("DE",), ("CA",), ("AU", "US")]),
    ended_us=st.one_of(st.none(), st.integers(START, NOW)),
    until_us=st.one_of(st.none(), st.integers(START, NOW + DAY)),
    objection=st.sampled_from(["", "profiling", "legitimate_interest"]),
    refers_to=st.integers(0, 4),
)


@st.composite
def histories(draw: st.DrawFn) -> list[Fact]:
    """Histories as the ledger can hold them: versions without gaps, times of any order, many of them equal."""
    return [
        Fact(
            version=number + 1,
            kind=draw(st.sampled_from(KINDS)),
            scope=draw(st.sampled_from(SCOPES)).key,
            route=draw(st.sampled_from(ROUTES)),
            at_us=START + draw(st.integers(0, 6)) * SECOND,
            terms=draw(some_terms),
        )
        for number in range(draw(st.integers(0, 12)))
    ]


def fact(version: int, kind: Kind, scope: Scope = EVERYTHING, day: float = 0, route: Route = "page", terms: Terms = PROVEN) -> Fact:
    return Fact(version, kind, scope.key, route, START + int(day * DAY), terms)


def decision(history: list[Fact], about: Scope | Belongs, now_us: int = NOW, sender: str = "IE") -> Decision:
    state = fold(history)
    belongs = about if isinstance(about, Belongs) else Belongs(about)
    return Gate(Asked().by(Sender(sender), belongs), LAW, now_us).decide(state.person(), state.latest_us)


def codes(history: list[Fact], about: Scope | Belongs, now_us: int = NOW, sender: str = "IE") -> list[str]:
    return [reason.code for reason in decision(history, about, now_us, sender).reasons]


def open_scopes(history: list[Fact], now_us: int = NOW) -> set[str]:
    return {belongs.scope.key for belongs in MESSAGES if decision(history, belongs, now_us, "US").allow}


def within(scope: Scope) -> set[str]:
    """The messages that an opt-out of this scope closes."""
    return {belongs.scope.key for belongs in MESSAGES if scope.key in belongs.covering}
