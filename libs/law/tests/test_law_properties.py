"""What holds for every message, person and law."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from zoneinfo import ZoneInfo

from hypothesis import assume, given
from hypothesis import strategies as st

from postlaw_law.case_fields import Fields
from postlaw_law.cases import CASE_FIELDS, read_case, write_case
from postlaw_law.clocks import instant, microseconds
from postlaw_law.deciding import Campaign, decide
from postlaw_law.decision import Decision
from postlaw_law.facts import ANY_TOPIC, Facts, Grant, Hold, HoldKind, Message, OptOut, Person, TrackingSignal
from postlaw_law.loading import the_law
from postlaw_law.words import AddressKind, Defect, Evidence, MessageClass, MessageFact, RecipientKind, RouteEvent, SenderKind

LAW = the_law()
NOW = datetime(2026, 6, 15, 16, tzinfo=UTC)
NOW_US = microseconds(NOW)
DAY_US = 86_400_000_000

# Few instants, so that many fall together, and some on anniversaries and in the future.
INSTANTS = st.sampled_from(
    [
        NOW_US + days * DAY_US + seconds * 1_000_000
        for days in (-1200, -731, -730, -366, -365, -183, -30, -1, 0, 1)
        for seconds in (-1, 0, 1)
    ]
)
ZONES = st.sampled_from([ZoneInfo(key) for key in ("UTC", "America/Toronto", "Australia/Sydney", "Africa/Cairo")])
TERRITORIES = st.sampled_from(["US", "CA", "GB", "AU", "DE", "FR", "IE", "BE", "JP", "ZZ", "MX"])
TOPICS = st.sampled_from(
    [ANY_TOPIC, frozenset({"general"}), frozenset({"news"}), frozenset({"general", "news"}), frozenset({"house"}), frozenset[str]()]
)
ALL_STATES: frozenset[MessageFact] = frozenset(get_args(MessageFact))
ALL_EVIDENCE: frozenset[Evidence] = frozenset(get_args(Evidence))


@st.composite
def evidence(draw: st.DrawFn) -> tuple[frozenset[Evidence], frozenset[Evidence]]:
    missing = draw(st.frozensets(st.sampled_from(sorted(ALL_EVIDENCE)), max_size=2))
    denied = draw(st.frozensets(st.sampled_from(sorted(ALL_EVIDENCE)), max_size=1))
    return ALL_EVIDENCE - missing - denied, denied


@st.composite
def grants(draw: st.DrawFn) -> Grant:
    held, denied = draw(evidence())
    type: RouteEvent = draw(st.sampled_from(get_args(RouteEvent)))
    ends = type in ("contract", "subscription", "account", "membership")
    return Grant(
        type,
        draw(INSTANTS),
        held,
        denied,
        draw(TOPICS),
        draw(st.none() | INSTANTS) if ends else None,
        draw(st.sampled_from("abc")),
        draw(st.booleans()),
    )


opt_outs = st.builds(OptOut, INSTANTS, TOPICS, st.sampled_from("def")) | st.builds(
    OptOut, INSTANTS, id=st.sampled_from("def"), erased=st.just(True)
)
holds = st.builds(Hold, st.sampled_from(get_args(HoldKind)), INSTANTS, st.none() | INSTANTS, st.sampled_from("gh"))
signals = st.builds(TrackingSignal, st.booleans(), INSTANTS, evidence().map(lambda both: both[0]))


def few(strategy: st.SearchStrategy[Any], most: int = 3) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(strategy, max_size=most).map(tuple)


def built(kind: Callable[..., Any], *fields: st.SearchStrategy[Any], **named: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """What is not given keeps its default: of a NamedTuple Hypothesis would make up those fields too."""

    def one(*given: Any, **by_name: Any) -> Any:
        return kind(*given, **by_name)

    return st.builds(one, *fields, **named)


people = built(
    Person,
    territories=few(TERRITORIES, 3),
    recipient_kind=st.sampled_from(get_args(RecipientKind)),
    address_kind=st.sampled_from(get_args(AddressKind)),
    grants=few(grants(), 4),
    opt_outs=few(opt_outs, 2),
    holds=few(holds, 1),
    tracking=few(signals, 2),
    messages_us=few(INSTANTS, 1),
    zone=st.none() | ZONES,
)
messages = st.builds(
    Message,
    sender=TERRITORIES,
    message_class=st.sampled_from(get_args(MessageClass)),
    sender_kind=st.sampled_from(get_args(SenderKind)),
    topic=st.sampled_from(["general", "news", "deals"]),
    states=st.frozensets(st.sampled_from(get_args(MessageFact))),
    defects=st.frozensets(st.sampled_from(get_args(Defect)), max_size=1),
    zone=ZONES,
    brand=st.sampled_from(["", "house"]),
)
facts = st.builds(Facts, messages, people)


# Mail that may go for a time: a purchase of the last year in Canada, Ireland or both, and whatever else that runs out.
ending_grants = built(
    Grant,
    st.sampled_from(["purchase", "inquiry", "subscription", "contract"]),
    INSTANTS,
    st.just(ALL_EVIDENCE),
    ended_us=INSTANTS,
)
ending = st.builds(
    Facts,
    st.builds(
        Message, sender=st.sampled_from(["US", "CA", "IE"]), message_class=st.just("commercial"), states=st.just(ALL_STATES), zone=ZONES
    ),
    built(
        Person,
        territories=st.sampled_from([("CA",), ("IE",), ("CA", "IE"), ("CA", "US")]),
        grants=st.builds(lambda first, others: (first._replace(at_us=NOW_US - 40 * DAY_US), *others), ending_grants, few(ending_grants)),
        zone=st.none() | ZONES,
    ),
)


def withdrawn(person: Person, opt_out: OptOut) -> Person:
    return person._replace(opt_outs=(*person.opt_outs, opt_out))


@given(facts, opt_outs)
def test_a_withdrawal_never_opens_a_gate(facts: Facts, opt_out: OptOut) -> None:
    before = decide(facts, LAW, NOW)
    after = decide(replace(facts, person=withdrawn(facts.person, opt_out)), LAW, NOW)
    assert before.allow or not after.allow


@given(facts)
def test_after_a_withdrawal_of_everything_no_commercial_mail_goes(facts: Facts) -> None:
    assume(facts.message.message_class in ("commercial", "consent_request"))
    stopped = decide(replace(facts, person=withdrawn(facts.person, OptOut(NOW_US))), LAW, NOW)
    assert "SUPPRESSED_ALL" in {reason.code for reason in stopped.reasons}


@given(facts, holds)
def test_a_restriction_or_a_pause_never_opens_a_gate(facts: Facts, hold: Hold) -> None:
    before = decide(facts, LAW, NOW)
    after = decide(replace(facts, person=facts.person._replace(holds=(*facts.person.holds, hold))), LAW, NOW)
    assert before.allow or not after.allow


@given(facts, TERRITORIES)
def test_a_further_possible_territory_never_loosens(facts: Facts, territory: str) -> None:
    assume(facts.person.territories)  # none is unknown, and a hint then takes the strictest default's place
    fewer = decide(facts, LAW, NOW)
    more = decide(replace(facts, person=facts.person._replace(territories=(*facts.person.territories, territory))), LAW, NOW)
    assert_no_looser(fewer, more)


@given(facts)
def test_unknown_territory_is_never_looser_than_a_known_one(facts: Facts) -> None:
    known = decide(facts, LAW, NOW)
    unknown = decide(replace(facts, person=facts.person._replace(territories=(*facts.person.territories, "ZZ"))), LAW, NOW)
    assert_no_looser(known, unknown)


def assert_no_looser(fewer: Decision, more: Decision) -> None:
    assert fewer.allow or not more.allow
    if more.allow:
        assert fewer.expires_at is None or (more.expires_at is not None and more.expires_at <= fewer.expires_at)
    assert fewer.tracking.open or not more.tracking.open
    assert fewer.obligations.mechanism_days <= more.obligations.mechanism_days
    assert fewer.obligations.opt_out_business_days >= more.obligations.opt_out_business_days


@given(facts)
def test_a_replayed_decision_is_the_original(facts: Facts) -> None:
    original = decide(facts, LAW, NOW)
    again, now, _ = read_case(Fields(write_case(facts, NOW), "", CASE_FIELDS))
    assert (again, now) == (facts, NOW)
    assert decide(again, LAW, now) == original


@given(facts | ending, st.integers())
def test_the_order_of_what_happened_at_one_instant_does_not_matter(facts: Facts, seed: int) -> None:
    shuffled = random.Random(seed)
    person = facts.person

    def anew(records: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(shuffled.sample(records, len(records)))

    other = person._replace(
        grants=anew(person.grants),
        opt_outs=anew(person.opt_outs),
        holds=anew(person.holds),
        tracking=anew(person.tracking),
        territories=anew(person.territories),
    )
    assert decide(replace(facts, person=other), LAW, NOW) == decide(facts, LAW, NOW)


@given(ending)
def test_an_expiry_is_exact_to_the_second(facts: Facts) -> None:
    # Events of the future would be known by then; what is decided on is what is known now.
    grants = tuple(as_known(one) for one in facts.person.grants if one.at_us <= NOW_US)
    known = replace(facts, person=facts.person._replace(grants=grants))
    decision = decide(known, LAW, NOW)
    assume(decision.expires_at is not None)
    assert decision.expires_at is not None
    last = decide(known, LAW, decision.expires_at - timedelta(seconds=1))
    over = decide(known, LAW, decision.expires_at)
    assert last.allow
    assert last.expires_at == decision.expires_at
    assert {reason.code.partition(":")[2] for reason in over.reasons} == {"ROUTE_EXPIRED"}


def as_known(grant: Grant) -> Grant:
    return grant if grant.ended_us is None or grant.ended_us <= NOW_US else grant._replace(ended_us=None)


@given(facts, st.integers(-(10**15), 8 * 10**15).map(instant))  # from 1938 to 2223
def test_there_is_a_decision_for_all_facts_at_any_time(facts: Facts, now: datetime) -> None:
    decision = decide(facts, LAW, now)
    assert decision.allow == (not decision.reasons) == (decision.basis is not None)
    assert all(reason.section for reason in decision.reasons)
    assert decision.expires_at is None or decision.expires_at > now


def forgetting(person: Person) -> Person:
    """What the README says that a fold may forget."""
    opt_outs = {one.topics: one for one in sorted(person.opt_outs, key=lambda one: one.at_us) if one.at_us <= NOW_US}
    grants: dict[Any, Grant] = {}
    for one in sorted((one for one in person.grants if is_over(one)), key=lambda one: one.ended_us or one.at_us):
        grants[one.type, one.topics, one.held, one.denied, one.lifts] = one
    last_signal = max((one.at_us for one in person.tracking if one.at_us <= NOW_US), default=0)
    last_message = max((at_us for at_us in person.messages_us if at_us <= NOW_US), default=0)
    return person._replace(
        opt_outs=(*opt_outs.values(), *(one for one in person.opt_outs if one.at_us > NOW_US)),
        grants=(*grants.values(), *(one for one in person.grants if not is_over(one))),
        holds=tuple(one for one in person.holds if one.until_us is None or one.until_us > NOW_US),
        tracking=tuple(one for one in person.tracking if one.at_us >= last_signal),
        messages_us=tuple(at_us for at_us in person.messages_us if at_us >= last_message),
    )


def is_over(grant: Grant) -> bool:
    """Past, and not of a relationship that runs."""
    if grant.type in ("contract", "subscription", "account", "membership"):
        return grant.at_us <= NOW_US and grant.ended_us is not None and grant.ended_us <= NOW_US
    return grant.at_us <= NOW_US


@given(facts, st.integers(0, 800))
def test_what_a_fold_may_forget_changes_no_verdict(facts: Facts, days: int) -> None:
    now = NOW + timedelta(days=days)
    whole = decide(facts, LAW, now)
    folded = decide(replace(facts, person=forgetting(facts.person)), LAW, now)
    assert (folded.allow, folded.basis, folded.expires_at, folded.tracking) == (whole.allow, whole.basis, whole.expires_at, whole.tracking)


@given(messages, st.lists(people, min_size=1, max_size=2))
def test_a_campaign_decides_for_each_person_as_for_that_person_alone(message: Message, those: list[Person]) -> None:
    campaign = Campaign(message, LAW, NOW)
    assert [campaign.decide(person) for person in those] == [decide(Facts(message, person), LAW, NOW) for person in those]


@given(messages, people, st.lists(st.sampled_from([-800, -366, -1, 0, 1]), min_size=1, max_size=3), st.integers(0, 86_399))
def test_a_campaign_moved_in_time_decides_as_one_made_for_that_time(message: Message, person: Person, days: list[int], second: int) -> None:
    campaign = Campaign(message, LAW, NOW)
    for day in days:
        then = NOW + timedelta(days=day, seconds=second)
        campaign = campaign.at(then)
        assert campaign.decide(person) == Campaign(message, LAW, then).decide(person)
