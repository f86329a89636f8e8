"""The fold and the law together: what opens a gate, what closes it, and that nothing else does."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postlaw_common.testing.promises import promise
from postlaw_consent.domain.event import CLOSING, Kind, Route
from postlaw_consent.domain.fact import Fact, Terms
from postlaw_consent.domain.fold import fold, person_of
from postlaw_consent.domain.gate import Gate
from postlaw_consent.domain.message import Asked, Sender
from postlaw_consent.domain.particulars import CLAIMABLE
from postlaw_consent.domain.scope import EVERYTHING, PLATFORM, Belongs, Scope
from postlaw_consent.domain.snapshot import from_json, to_json
from postlaw_law.clocks import microseconds
from postlaw_law.decision import Decision
from postlaw_law.loading import the_law
from postlaw_law.words import EVIDENCE, Evidence

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
OF_ALL = st.sampled_from(["withdrawn", "complained", "objected", "restricted", "paused", "bounced", "erased"])

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


@promise("M6")
@given(histories(), st.sampled_from(SCOPES), st.integers(0, 6))
def test_a_withdrawal_never_opens_a_gate_and_always_closes_its_own(history: list[Fact], scope: Scope, second: int) -> None:
    after = [*history, fact(len(history) + 1, "withdrawn", scope, second * SECOND / DAY)]
    assert open_scopes(after) <= open_scopes(history)
    assert not open_scopes(after) & within(scope)


@promise("M6")
@given(
    histories(), st.sampled_from(["withdrawn", "complained", "objected", "restricted", "paused", "bounced", "erased"]), st.integers(0, 6)
)
def test_what_is_said_of_everything_closes_every_scope(history: list[Fact], kind: Kind, second: int) -> None:
    assert open_scopes([*history, fact(len(history) + 1, kind, EVERYTHING, second * SECOND / DAY, terms=Terms())]) == set()


@promise("M6")
@given(histories(), st.sampled_from(sorted(CLOSING)), st.sampled_from(SCOPES), some_terms, st.integers(0, 6))
def test_nothing_that_closes_ever_opens(history: list[Fact], kind: Kind, scope: Scope, terms: Terms, second: int) -> None:
    terms = replace(terms, territories=())  # to learn that another law applies may well open
    after = [*history, fact(len(history) + 1, kind, scope, second * SECOND / DAY, terms=terms)]
    assert open_scopes(after) <= open_scopes(history)


@promise("M6")
@given(
    histories(),
    st.sampled_from(SCOPES),
    st.integers(0, 40),
    st.sampled_from(["given", "renewed", "implied"]),
    st.sampled_from(["api", "import"]),
)
def test_no_import_no_customers_system_and_no_relationship_lifts_an_opt_out(
    history: list[Fact], scope: Scope, day: int, kind: Kind, route: Route
) -> None:
    terms = Terms(relationship="purchase", held=ALL)
    after = [*history, fact(len(history) + 1, kind, scope, day, route, terms)]
    closed, then = fold(history).closed, START + 41 * DAY  # when whatever ends by itself has ended in both
    for one in MESSAGES:
        if one.covering & set(closed):
            assert (one.scope.key in open_scopes(after, then)) <= (one.scope.key in open_scopes(history, then))


@given(histories(), st.randoms(use_true_random=False))
def test_duplicates_and_order_of_reading_change_nothing(history: list[Fact], random: Random) -> None:
    twice = history + [one._replace() for one in history]
    random.shuffle(twice)
    assert fold(twice) == fold(history)


@given(histories())
def test_the_only_event_of_a_person_says_alone_what_the_fold_says(history: list[Fact]) -> None:
    for one in history:
        assert person_of(one._replace(version=1)) == fold([one._replace(version=1)]).person()


@given(histories(), st.integers(0, 12))
def test_a_snapshot_goes_on_as_the_history_would(history: list[Fact], at: int) -> None:
    state = from_json(to_json(fold(history[:at])))
    for one in history[at:]:
        state.apply(one)
    assert state == fold(history)


@given(histories(), st.sampled_from(SCOPES))
def test_a_withdrawal_stands_only_while_nothing_in_its_scope_was_reopened(history: list[Fact], scope: Scope) -> None:
    version = fold(history).standing_withdrawal(scope)
    if version is None:
        return
    said = history[version - 1]
    assert said.scope == scope.key or scope == EVERYTHING
    assert said.kind in CLOSING
    for length in range(version, len(history) + 1):
        assert not open_scopes(history[:length]) & within(scope)


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


@promise("M6")
@given(histories(), st.lists(st.sampled_from(["implied", "requested", "resumed", "reachable", "unrestricted"]), max_size=4), some_terms)
def test_after_an_erasure_nothing_but_a_fresh_express_act_opens(history: list[Fact], acts: list[Kind], terms: Terms) -> None:
    erased = [*history, fact(len(history) + 1, "erased")]
    others = [fact(len(erased) + 1 + place, kind, EVERYTHING, place, terms=terms) for place, kind in enumerate(acts)]
    imported = fact(len(erased) + len(acts) + 1, "given", EVERYTHING, 20, "import")
    assert not open_scopes([*erased, *others, imported])
    assert fold(erased).person().grants == ()


def test_who_was_erased_comes_back_by_a_fresh_act_without_what_was_consented_to_before() -> None:
    history = [fact(1, "given", B), fact(2, "tracking_given", EVERYTHING), fact(3, "erased", EVERYTHING, 1)]
    assert codes(history, B) == ["ERASED"]
    back = decision([*history, fact(4, "given", A, 2, "page")], A)
    assert back.allow and back.evidence == ("4",) and not back.tracking.open
    assert codes([*history, fact(4, "given", A, 2, "page")], B) == ["ERASED"]
    assert decision(history, A).evidence == ("3",)


@promise("M6")
def test_an_erasure_takes_no_opt_out_back_and_is_none_itself() -> None:
    stopped = [fact(1, "withdrawn", EVERYTHING), fact(2, "erased", EVERYTHING, 1)]
    assert codes(stopped, A) == ["SUPPRESSED_ALL"]
    assert fold(stopped).standing_withdrawal(EVERYTHING) == 1
    erased = [fact(1, "erased"), fact(2, "withdrawn", EVERYTHING, 1)]
    assert fold(erased[:1]).standing_withdrawal(EVERYTHING) is None
    assert fold(erased).standing_withdrawal(EVERYTHING) == 2
    assert codes(erased, A) == ["SUPPRESSED_ALL"]


@given(histories())
def test_a_bounce_that_is_taken_back_leaves_the_person_as_they_were(history: list[Fact]) -> None:
    """But for bounces before it."""
    bounced = [*history, fact(len(history) + 1, "bounced", terms=Terms())]
    assert not open_scopes(bounced)
    after = fold([*bounced, fact(len(history) + 2, "reachable", terms=Terms())])
    before = fold([*history, fact(len(history) + 1, "reachable", terms=Terms())])
    assert replace(after, version=0, latest_us=0) == replace(before, version=0, latest_us=0)


def test_no_consent_makes_an_address_take_mail_and_a_bounce_is_no_opt_out() -> None:
    history = [fact(1, "given", A), fact(2, "bounced", EVERYTHING, 1), fact(3, "given", A, 2, "page")]
    assert codes(history, A) == ["BOUNCED"]
    assert fold(history).standing_withdrawal(EVERYTHING) is None
    assert decision([*history, fact(4, "reachable", EVERYTHING, 3)], A).allow


def test_service_mail_does_not_go_to_an_address_that_bounced_but_a_confirmation_that_was_asked_for_does() -> None:
    state = fold([fact(1, "bounced", terms=Terms())])
    for states, allowed in ((frozenset[str](), False), (frozenset({"confirms_address"}), True)):
        message = Asked("transactional", states).by(Sender("IE"), Belongs(A))
        assert Gate(message, LAW, NOW).decide(state.person(), state.latest_us).allow is allowed


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


def test_without_any_consent_the_answer_is_no_and_names_the_regime() -> None:
    assert codes([], A) == ["EU-IE:NO_ROUTE", "ZZ:NO_ROUTE"]
    assert codes([fact(1, "given", Scope("topic", "a"))], A) == ["EU-IE:TOPIC_NOT_COVERED", "ZZ:TOPIC_NOT_COVERED"]


@promise("M6")
def test_everything_withdrawn_again_after_a_list_was_open_in_between_is_a_new_withdrawal() -> None:
    history = [fact(1, "withdrawn", EVERYTHING, 1), fact(2, "given", A, 2), fact(3, "withdrawn", A, 3)]
    assert fold(history[:1]).standing_withdrawal(EVERYTHING) == 1
    assert fold(history).standing_withdrawal(EVERYTHING) is None
    assert fold([*history, fact(4, "withdrawn", EVERYTHING, 4)]).standing_withdrawal(EVERYTHING) == 4


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


@promise("M6")
def test_a_blanket_import_does_not_lift_what_an_insufficient_act_had_opened_again() -> None:
    bare = Terms(held=ALL - {"purpose"})
    history = [fact(1, "withdrawn", A), fact(2, "given", A, 1, terms=bare), fact(3, "given", EVERYTHING, 2, "import")]
    assert codes(history, A) == ["SUPPRESSED_TOPIC"]


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


@promise("M6")
def test_what_somebody_attests_of_a_person_lifts_no_opt_out_by_whatever_route_it_comes() -> None:
    attested = replace(PROVEN, attested=True)
    history = [fact(1, "given", A), fact(2, "withdrawn", A, 1)]
    assert codes([*history, fact(3, "given", A, 2, terms=attested)], A) == ["SUPPRESSED_TOPIC"]
    assert decision([fact(1, "given", A, terms=attested)], A).allow
    assert decision([*history, fact(3, "given", A, 2)], A).allow


@promise("M9")
def test_a_no_to_tracking_is_not_taken_back_by_an_import_nor_by_what_somebody_attests() -> None:
    history = [fact(1, "given", A), fact(2, "tracking_withdrawn", EVERYTHING, 1)]
    yeses: list[tuple[Route, bool]] = [("import", False), ("api", True)]
    for route, attested in yeses:
        yes = fact(3, "tracking_given", EVERYTHING, 2, route, replace(PROVEN, attested=attested))
        assert not decision([*history, yes], A).tracking.open
        assert decision([history[0], yes._replace(version=2)], A).tracking.open
    assert decision([*history, fact(3, "tracking_given", EVERYTHING, 2)], A).tracking.open


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


@promise("M6")
def test_an_opt_out_of_a_clock_that_runs_ahead_counts_at_once() -> None:
    history = [fact(1, "given", A), fact(2, "withdrawn", A, 31)]
    assert codes(history, A, NOW) == ["SUPPRESSED_TOPIC"]


def test_a_claim_is_never_of_evidence_that_follows_from_the_record() -> None:
    assert {"proof_ref", "wording_version"} == EVIDENCE - CLAIMABLE


@promise("M6")
@given(histories(), histories(), st.integers(0, 6))
def test_what_is_stopped_for_every_customer_nobody_opens_but_who_stopped_it(before: list[Fact], later: list[Fact], second: int) -> None:
    stopped = [*before, fact(len(before) + 1, "withdrawn", PLATFORM, second * SECOND / DAY)]
    after = stopped + [one._replace(version=len(stopped) + one.version) for one in later]
    assert open_scopes(after) == set()
    assert all(not decision(after, belongs, START + 400 * DAY).allow for belongs in MESSAGES)
    lifted = [*after, fact(len(after) + 1, "lifted", PLATFORM, 7)]
    never = before + [one._replace(version=len(before) + one.version, terms=replace(one.terms, refers_to=0)) for one in later]
    same = [one._replace(terms=replace(one.terms, refers_to=0)) for one in lifted]
    assert open_scopes(same) == open_scopes(never), "what is lifted leaves no trace"


@promise("M6")
def test_what_is_stopped_for_every_customer_is_service_mail_too() -> None:
    state = fold([fact(1, "given", A), fact(2, "withdrawn", PLATFORM, 1)])
    service = Gate(Asked("transactional").by(Sender("IE"), Belongs(A)), LAW, NOW).decide(state.person(), state.latest_us)
    assert [reason.code for reason in service.reasons] == ["SUPPRESSED_PLATFORM"]
