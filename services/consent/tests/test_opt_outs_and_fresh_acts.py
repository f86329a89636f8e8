"""An opt-out of a list, a brand or everything: what it closes, and which fresh act opens it again."""

from __future__ import annotations

from dataclasses import replace

from postlaw_common.testing.promises import promise
from postlaw_consent.domain.fact import Terms
from postlaw_consent.domain.fold import fold
from postlaw_consent.domain.scope import EVERYTHING, Belongs

from .histories import ALL, NOW, PROVEN, A, B, X, Y, codes, decision, fact


def test_a_fresh_express_act_reopens_its_list_and_no_other() -> None:
    history = [fact(1, "given", A, 1), fact(2, "given", B, 1), fact(3, "withdrawn", EVERYTHING, 2), fact(4, "given", A, 3, "page")]
    assert decision(history, A).allow
    assert codes(history, B) == ["SUPPRESSED_ALL"]


@promise("M6")
def test_an_opt_out_of_a_brand_closes_its_lists_and_a_fresh_act_reopens_one_list_or_the_brand() -> None:
    a, b, other = Belongs(A, "X"), Belongs(B, "X"), Belongs(B, "Y")
    history = [fact(1, "given", A), fact(2, "given", B), fact(3, "withdrawn", X, 2)]
    assert codes(history, a) == codes(history, b) == codes(history, X) == ["SUPPRESSED_BRAND"]
    assert decision(history, other).allow and decision(history, A).allow  # of another brand, or of none
    one = [*history, fact(4, "given", A, 3)]
    assert decision(one, a).allow
    assert codes(one, b) == ["SUPPRESSED_BRAND"]
    assert decision([*history, fact(4, "given", X, 3)], b).allow
    assert codes([*history, fact(4, "withdrawn", A, 3), fact(5, "given", X, 4)], a) == ["SUPPRESSED_TOPIC"]


@promise("M6")
def test_an_import_for_a_list_does_not_lift_its_brands_opt_out() -> None:
    """The ledger does not say of which brand a list is: the message does."""
    history = [fact(1, "withdrawn", X), fact(2, "given", A, 1, "import")]
    assert codes(history, Belongs(A, "X")) == ["SUPPRESSED_BRAND"]
    assert decision(history, Belongs(A, "Y")).allow


@promise("M6")
def test_a_brand_withdrawn_again_after_a_list_was_opened_in_between_is_a_new_withdrawal() -> None:
    history = [fact(1, "withdrawn", X), fact(2, "given", A, 1)]
    assert fold(history[:1]).standing_withdrawal(X) == 1
    assert fold(history).standing_withdrawal(X) is None
    assert fold([*history, fact(3, "given", Y, 2)]).standing_withdrawal(X) is None
    assert fold([*history, fact(3, "withdrawn", X, 2)]).standing_withdrawal(X) == 3
    assert fold([history[0], fact(2, "given", Y, 1)]).standing_withdrawal(X) == 1


@promise("M6")
def test_a_complaint_that_names_a_brand_closes_that_brand_alone_and_any_other_everything() -> None:
    given = [fact(1, "given", A), fact(2, "given", B)]
    about = [*given, fact(3, "complained", X, 1)]
    assert codes(about, Belongs(A, "X")) == ["SUPPRESSED_BRAND"]
    assert decision(about, Belongs(B, "Y")).allow
    assert codes([*given, fact(3, "complained", A, 1)], Belongs(B, "Y")) == ["SUPPRESSED_ALL"]


def test_a_consent_dated_before_the_withdrawal_does_not_reopen_nor_one_of_the_same_moment() -> None:
    for day in (1, 2):
        assert codes([fact(1, "withdrawn", A, 2), fact(2, "given", A, day)], A) == ["SUPPRESSED_TOPIC"]
    assert decision([fact(1, "withdrawn", A, 2), fact(2, "given", A, 3)], A).allow


def test_consent_to_everything_does_not_bring_back_a_list_that_was_itself_withdrawn() -> None:
    history = [fact(1, "withdrawn", A, 1), fact(2, "given", EVERYTHING, 2)]
    assert codes(history, A) == ["SUPPRESSED_TOPIC"]
    assert decision(history, B).allow
    assert codes([*history, fact(3, "given", EVERYTHING, 3)], A) == ["SUPPRESSED_TOPIC"]
    assert decision([*history, fact(3, "given", A, 3)], A).allow


def test_a_fresh_act_without_the_evidence_that_the_law_asks_lifts_nothing() -> None:
    bare = Terms(held=ALL - {"withdrawal_info"})
    assert codes([fact(1, "withdrawn", A, 1), fact(2, "given", A, 2, terms=bare)], A) == ["SUPPRESSED_TOPIC"]


@promise("M6")
def test_everything_withdrawn_again_after_a_list_was_open_in_between_is_a_new_withdrawal() -> None:
    history = [fact(1, "withdrawn", EVERYTHING, 1), fact(2, "given", A, 2), fact(3, "withdrawn", A, 3)]
    assert fold(history[:1]).standing_withdrawal(EVERYTHING) == 1
    assert fold(history).standing_withdrawal(EVERYTHING) is None
    assert fold([*history, fact(4, "withdrawn", EVERYTHING, 4)]).standing_withdrawal(EVERYTHING) == 4


@promise("M6")
def test_a_blanket_import_does_not_lift_what_an_insufficient_act_had_opened_again() -> None:
    bare = Terms(held=ALL - {"purpose"})
    history = [fact(1, "withdrawn", A), fact(2, "given", A, 1, terms=bare), fact(3, "given", EVERYTHING, 2, "import")]
    assert codes(history, A) == ["SUPPRESSED_TOPIC"]


@promise("M6")
def test_what_somebody_attests_of_a_person_lifts_no_opt_out_by_whatever_route_it_comes() -> None:
    attested = replace(PROVEN, attested=True)
    history = [fact(1, "given", A), fact(2, "withdrawn", A, 1)]
    assert codes([*history, fact(3, "given", A, 2, terms=attested)], A) == ["SUPPRESSED_TOPIC"]
    assert decision([fact(1, "given", A, terms=attested)], A).allow
    assert decision([*history, fact(3, "given", A, 2)], A).allow


@promise("M6")
def test_an_opt_out_of_a_clock_that_runs_ahead_counts_at_once() -> None:
    history = [fact(1, "given", A), fact(2, "withdrawn", A, 31)]
    assert codes(history, A, NOW) == ["SUPPRESSED_TOPIC"]
