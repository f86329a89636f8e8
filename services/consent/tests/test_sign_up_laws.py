"""What holds of a confirmation in every history of a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from postlaw_common.testing.promises import promise
from postlaw_consent.domain.confirmation import Confirmation, state_of, suppressed
from postlaw_consent.domain.event import Kind
from postlaw_consent.domain.fact import Fact, Terms
from postlaw_consent.domain.scope import EVERYTHING, PLATFORM, Belongs, Scope

if TYPE_CHECKING:
    pass


LIST, ACME = Scope("list", "lst_1"), Scope("brand", "Acme")
_KINDS: tuple[Kind, ...] = ("requested", "given", "withdrawn", "confirmed", "complained", "paused", "restricted", "unrestricted")
_FACTS = st.lists(
    st.tuples(st.sampled_from(_KINDS), st.sampled_from((LIST, Scope("list", "lst_2"), ACME, EVERYTHING)), st.integers(0, 6)), max_size=8
)


def facts(acts: list[tuple[Kind, Scope, int]]) -> list[Fact]:
    return [
        Fact(version, kind, scope.key, "page", version, Terms(refers_to=refers if kind == "confirmed" else 0))
        for version, (kind, scope, refers) in enumerate(acts, 1)
    ]


@promise("G12")
@given(_FACTS, st.integers(1, 8), st.integers(0, 20))
def test_nobody_is_confirmed_without_a_request_and_nothing_expired_is_open(
    acts: list[tuple[Kind, Scope, int]], version: int, now: int
) -> None:
    history = facts(acts)
    state = state_of(Confirmation("ten_1", b"", LIST, "frm_1", version, 10), Belongs(LIST, "Acme"), history, now)
    requests = [fact.version for fact in history if fact.kind == "requested" and fact.scope == LIST.key]
    assert (state is not None) == (version in requests)
    if state == "open":
        assert now < 10
        assert not any(
            fact.kind in ("withdrawn", "complained", "restricted") and fact.version > version and fact.scope != "list:lst_2"
            for fact in history
        )


@promise("M6")
@given(_FACTS)
def test_a_no_after_everything_else_suppresses(acts: list[tuple[Kind, Scope, int]]) -> None:
    for scope in (LIST, ACME, EVERYTHING, PLATFORM):
        history = facts([*acts, ("withdrawn", scope, 0)])
        for confirming in (False, True):
            assert suppressed(history, Belongs(LIST, "Acme"), confirming=confirming)


@given(_FACTS)
def test_who_was_erased_may_come_back_only_by_confirming_it(acts: list[tuple[Kind, Scope, int]]) -> None:
    history = facts([*acts, ("erased", EVERYTHING, 0)])
    assert suppressed(history, Belongs(LIST, "Acme"), confirming=False)
    said_no = any(kind in ("withdrawn", "complained", "restricted") for kind, _, _ in acts)
    assert said_no or not suppressed(history, Belongs(LIST, "Acme"), confirming=True)
