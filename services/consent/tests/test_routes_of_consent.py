"""Which consent carries a message: none, requested, implied, of a contract, declared invalid; and under which laws."""

from __future__ import annotations

from dataclasses import replace

from postlaw_common.testing.promises import promise
from postlaw_consent.domain.fact import Terms
from postlaw_consent.domain.particulars import CLAIMABLE
from postlaw_consent.domain.scope import EVERYTHING, Scope
from postlaw_law.clocks import microseconds
from postlaw_law.words import EVIDENCE

from .histories import ALL, DAY, PROVEN, START, A, codes, decision, fact


def test_without_any_consent_the_answer_is_no_and_names_the_regime() -> None:
    assert codes([], A) == ["EU-IE:NO_ROUTE", "ZZ:NO_ROUTE"]
    assert codes([fact(1, "given", Scope("topic", "a"))], A) == ["EU-IE:TOPIC_NOT_COVERED", "ZZ:TOPIC_NOT_COVERED"]


@promise("G12")
def test_a_request_opens_nothing_before_it_is_confirmed() -> None:
    requested = [fact(1, "requested", A)]
    assert not decision(requested, A).allow
    assert decision([*requested, fact(2, "confirmed", A, 1, "page")], A).allow


@promise("M8")
def test_implied_consent_of_a_purchase_ends_to_the_second_and_a_later_purchase_begins_anew() -> None:
    bought = Terms(relationship="purchase", held=ALL, territories=("CA",))
    history = [fact(1, "implied", EVERYTHING, 0, terms=bought)]
    answer = decision(history, A, sender="CA")
    assert answer.allow
    assert answer.expires_at is not None
    ends = microseconds(answer.expires_at)
    assert decision(history, A, ends - 1, "CA").allow
    assert codes(history, A, ends, "CA") == ["CA:ROUTE_EXPIRED"]
    assert decision([*history, fact(2, "implied", EVERYTHING, 20, terms=bought)], A, ends, "CA").allow


@promise("M8")
def test_a_contract_that_is_said_to_have_ended_no_longer_runs() -> None:
    runs = Terms(relationship="contract", held=ALL, territories=("CA",))
    ended = replace(runs, ended_us=START + DAY)
    history = [fact(1, "implied", EVERYTHING, 0, terms=runs)]
    assert decision(history, A, sender="CA").expires_at is None
    assert decision([*history, fact(2, "implied", EVERYTHING, 0, terms=ended)], A, sender="CA").expires_at is not None


def test_a_consent_declared_invalid_carries_nothing_and_an_earlier_one_still_does() -> None:
    history = [fact(1, "given", A), fact(2, "given", A, 1)]
    assert decision([*history, fact(3, "invalidated", A, 2, terms=Terms(refers_to=2))], A).evidence == ("1",)
    assert not decision([*history, fact(3, "invalidated", A, 2)], A).allow


def test_what_was_learnt_of_a_person_adds_up_to_every_law_that_may_apply() -> None:
    german, canadian = replace(PROVEN, territories=("DE",)), replace(PROVEN, territories=("CA",))
    answer = decision([fact(1, "given", A, terms=german), fact(2, "given", A, 1, terms=canadian)], A, sender="US")
    assert set(answer.basis or {}) == {"EU-DE", "CA", "US"}


def test_a_claim_is_never_of_evidence_that_follows_from_the_record() -> None:
    assert {"proof_ref", "wording_version"} == EVIDENCE - CLAIMABLE
