"""What holds of every history: nothing that closes ever opens, and nobody but the person lifts what the person has said."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from postlaw_common.testing.promises import promise
from postlaw_consent.domain.event import CLOSING, Kind, Route
from postlaw_consent.domain.fact import Fact, Terms
from postlaw_consent.domain.fold import fold, person_of
from postlaw_consent.domain.scope import EVERYTHING, PLATFORM, Scope
from postlaw_consent.domain.snapshot import from_json, to_json

from .histories import ALL, DAY, MESSAGES, SCOPES, SECOND, START, decision, fact, histories, open_scopes, some_terms, within


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


@promise("M6")
@given(histories(), st.lists(st.sampled_from(["implied", "requested", "resumed", "reachable", "unrestricted"]), max_size=4), some_terms)
def test_after_an_erasure_nothing_but_a_fresh_express_act_opens(history: list[Fact], acts: list[Kind], terms: Terms) -> None:
    erased = [*history, fact(len(history) + 1, "erased")]
    others = [fact(len(erased) + 1 + place, kind, EVERYTHING, place, terms=terms) for place, kind in enumerate(acts)]
    imported = fact(len(erased) + len(acts) + 1, "given", EVERYTHING, 20, "import")
    assert not open_scopes([*erased, *others, imported])
    assert fold(erased).person().grants == ()


@given(histories())
def test_a_bounce_that_is_taken_back_leaves_the_person_as_they_were(history: list[Fact]) -> None:
    """But for bounces before it."""
    bounced = [*history, fact(len(history) + 1, "bounced", terms=Terms())]
    assert not open_scopes(bounced)
    after = fold([*bounced, fact(len(history) + 2, "reachable", terms=Terms())])
    before = fold([*history, fact(len(history) + 1, "reachable", terms=Terms())])
    assert replace(after, version=0, latest_us=0) == replace(before, version=0, latest_us=0)


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
