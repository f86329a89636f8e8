"""The fold: what opens, what closes, and that nothing else does."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from postlaw_common.testing.promises import promise
from postlaw_consent.domain.event import Kind, Route
from postlaw_consent.domain.scope import EVERYTHING, Scope
from postlaw_consent.domain.standing import Fact, decide, fold, standing_withdrawal

SCOPES = [Scope("list", "a"), Scope("list", "b"), Scope("topic", "a"), EVERYTHING]
KINDS: list[Kind] = ["given", "withdrawn"]
ROUTES: list[Route] = ["api", "import", "one_click", "page"]


@st.composite
def histories(draw: st.DrawFn) -> list[Fact]:
    """Histories as the ledger can hold them: versions without gaps, times of any order, many of them equal."""
    length = draw(st.integers(0, 12))
    return [
        Fact(
            version=number + 1,
            kind=draw(st.sampled_from(KINDS)),
            scope=draw(st.sampled_from(SCOPES)).key,
            route=draw(st.sampled_from(ROUTES)),
            at_us=draw(st.integers(0, 6)),
        )
        for number in range(length)
    ]


def fact(version: int, kind: Kind, scope: Scope, at_us: int, route: Route = "api") -> Fact:
    return Fact(version, kind, scope.key, route, at_us)


def open_scopes(history: list[Fact]) -> set[str]:
    standing = fold(history)
    return {scope.key for scope in SCOPES if decide(standing, scope).allow}


@promise("M6")
@given(histories(), st.sampled_from(SCOPES), st.integers(0, 6))
def test_a_withdrawal_never_opens_a_gate_and_always_closes_its_own(history: list[Fact], scope: Scope, at_us: int) -> None:
    after = [*history, fact(len(history) + 1, "withdrawn", scope, at_us)]
    assert open_scopes(after) <= open_scopes(history)
    assert scope.key not in open_scopes(after)


@promise("M6")
@given(histories(), st.integers(0, 6))
def test_a_withdrawal_of_everything_closes_every_scope(history: list[Fact], at_us: int) -> None:
    assert open_scopes([*history, fact(len(history) + 1, "withdrawn", EVERYTHING, at_us)]) == set()


@promise("M6")
@given(histories(), st.sampled_from(SCOPES), st.integers(0, 99))
def test_an_import_never_lifts_an_opt_out(history: list[Fact], scope: Scope, at_us: int) -> None:
    after = [*history, fact(len(history) + 1, "given", scope, at_us, "import")]
    for withdrawn in {one.scope for one in history if one.kind == "withdrawn"}:
        if withdrawn == EVERYTHING.key:
            assert open_scopes(after) == open_scopes(history)
        else:
            assert (withdrawn in open_scopes(after)) == (withdrawn in open_scopes(history))


@given(histories(), st.randoms(use_true_random=False))
def test_duplicates_and_order_of_reading_change_nothing(history: list[Fact], random: Random) -> None:
    twice = history + [replace(one) for one in history]
    random.shuffle(twice)
    assert fold(twice) == fold(history)


@given(histories(), st.sampled_from(SCOPES))
def test_a_withdrawal_stands_only_while_nothing_in_its_scope_was_reopened(history: list[Fact], scope: Scope) -> None:
    version = standing_withdrawal(fold(history), scope)
    if version is None:
        return
    assert (history[version - 1].kind, history[version - 1].scope) == ("withdrawn", scope.key)
    for length in range(version, len(history) + 1):
        reached = open_scopes(history[:length])
        assert scope.key not in reached
        assert scope != EVERYTHING or not reached


def test_a_fresh_express_act_reopens_its_list_and_no_other() -> None:
    a, b = Scope("list", "a"), Scope("list", "b")
    history = [fact(1, "given", a, 1), fact(2, "given", b, 1), fact(3, "withdrawn", EVERYTHING, 2), fact(4, "given", a, 3, "page")]
    standing = fold(history)
    assert decide(standing, a).allow
    assert decide(standing, b).reasons == ("WITHDRAWN_ALL",)


def test_a_consent_dated_before_the_withdrawal_does_not_reopen_nor_one_of_the_same_moment() -> None:
    a = Scope("list", "a")
    for at_us in (1, 2):
        assert not decide(fold([fact(1, "withdrawn", a, 2), fact(2, "given", a, at_us)]), a).allow
    assert decide(fold([fact(1, "withdrawn", a, 2), fact(2, "given", a, 3)]), a).allow


def test_consent_to_everything_does_not_bring_back_a_list_that_was_itself_withdrawn() -> None:
    a, b = Scope("list", "a"), Scope("list", "b")
    standing = fold([fact(1, "withdrawn", a, 1), fact(2, "given", EVERYTHING, 2)])
    assert decide(standing, a).reasons == ("WITHDRAWN_LIST",)
    assert decide(standing, b).allow


def test_without_any_consent_the_answer_is_no() -> None:
    assert decide(fold([]), Scope("list", "a")).reasons == ("NO_CONSENT",)
    assert decide(fold([fact(1, "given", Scope("topic", "a"), 1)]), Scope("list", "a")).reasons == ("NO_CONSENT",)


@promise("M6")
def test_everything_withdrawn_again_after_a_list_was_open_in_between_is_a_new_withdrawal() -> None:
    a = Scope("list", "a")
    history = [fact(1, "withdrawn", EVERYTHING, 1), fact(2, "given", a, 2), fact(3, "withdrawn", a, 3)]
    assert standing_withdrawal(fold(history[:1]), EVERYTHING) == 1
    assert standing_withdrawal(fold(history), EVERYTHING) is None
    assert standing_withdrawal(fold([*history, fact(4, "withdrawn", EVERYTHING, 4)]), EVERYTHING) == 4
