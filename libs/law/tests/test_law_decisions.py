"""What a decision says beyond the vectors: sections, duties, evidence, tracking of clicks, the law's version."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from postlaw_law.clocks import microseconds
from postlaw_law.deciding import decide
from postlaw_law.facts import Facts, Grant, Message, OptOut, Person, TrackingSignal
from postlaw_law.loading import the_law
from postlaw_law.rules import Rule
from postlaw_law.words import Defect

LAW = the_law()
NOW = datetime(2026, 6, 15, 16, tzinfo=UTC)
NOW_US = microseconds(NOW)
DAY_US = 86_400_000_000
CONSENT = Grant("express_consent", NOW_US - DAY_US, frozenset({"affirmative_act", "proof_ref"}), id="evt-1")
AD = Message("US", "commercial")


def to(*territories: str, **fields: Any) -> Person:
    return Person(territories, **fields)


def test_each_reason_names_its_section() -> None:
    old = Grant("purchase", NOW_US - 900 * DAY_US, frozenset({"proof_ref"}))
    decision = decide(Facts(replace(AD, sender="CA"), to("CA", grants=(old,))), LAW, NOW)
    assert [(reason.code, reason.section) for reason in decision.reasons] == [("CA:ROUTE_EXPIRED", "CASL 10(10)(a)-(c)")]


def test_a_suppression_names_the_section_of_every_regime() -> None:
    decision = decide(Facts(AD, to("CA", opt_outs=(OptOut(NOW_US, id="evt-2"),))), LAW, NOW)
    (reason,) = decision.reasons
    assert "CASL 6(3), 11" in reason.section
    assert "15 USC 7704" in reason.section
    assert decision.evidence == ("evt-2",)


def test_reasons_are_sorted() -> None:
    defects: frozenset[Defect] = frozenset({"no_unsubscribe", "no_ad_label", "no_postal_address", "misleading_header"})
    codes = [reason.code for reason in decide(Facts(replace(AD, defects=defects), to("US")), LAW, NOW).reasons]
    assert codes == sorted(codes)
    assert len(codes) == 4


def test_a_route_that_was_repealed_carries_nothing() -> None:
    def until_yesterday(rule: Rule) -> Rule:
        return replace(rule, effective_to=date(2026, 6, 14)) if rule.id == "ca-purchase" else rule

    canada = LAW.regimes["CA"]
    repealed = replace(canada, rules=tuple(until_yesterday(rule) for rule in canada.rules))
    law = replace(LAW, regimes={**LAW.regimes, "CA": repealed})
    purchase = Grant("purchase", NOW_US - 9 * DAY_US, frozenset({"proof_ref"}))
    facts = Facts(replace(AD, sender="CA"), to("CA", grants=(purchase,)))
    assert [reason.code for reason in decide(facts, law, NOW).reasons] == ["CA:ROUTE_NOT_IN_FORCE"]
    assert decide(facts, law, NOW - timedelta(days=1)).allow


def test_a_relationship_waives_no_label_and_consent_does() -> None:
    purchase = Grant("purchase", NOW_US - DAY_US, CONSENT.held)
    by_relationship = decide(Facts(AD, to("US", grants=(purchase,))), LAW, NOW)
    by_consent = decide(Facts(AD, to("US", grants=(CONSENT,))), LAW, NOW)
    service = decide(Facts(replace(AD, message_class="transactional"), to("US")), LAW, NOW)
    assert "ad_label" in by_relationship.obligations.duties
    assert "ad_label" not in by_consent.obligations.duties
    assert "ad_label" not in service.obligations.duties


def test_commercial_mail_must_carry_a_one_click_unsubscribe_without_login_fee_or_more_data() -> None:
    asked = {
        "one_click_header", "unsubscribe", "stop_everything_choice", "unsubscribe_without_login", "unsubscribe_without_fee",
        "unsubscribe_without_extra_data",
    }  # fmt: skip
    for territory in sorted(LAW.regime_of):
        decision = decide(Facts(Message(territory, "commercial"), to(territory)), LAW, NOW)
        assert asked <= decision.obligations.duties, territory


def test_the_duties_of_several_regimes_add_up() -> None:
    decision = decide(Facts(AD, to("CA", "AU", "DE")), LAW, NOW)
    assert {"ad_label", "postal_address", "sender_identity", "right_to_object"} <= decision.obligations.duties
    assert decision.obligations.mechanism_days == 60
    assert decision.obligations.opt_out_business_days == 0


@pytest.mark.parametrize(("territory", "allowed"), [("US", True), ("AU", True), ("CA", False), ("DE", False), ("GB", False), ("JP", False)])
def test_clicks_are_tracked_where_opens_are(territory: str, allowed: bool) -> None:
    consent = TrackingSignal(True, NOW_US, frozenset({"affirmative_act", "separate", "purpose", "proof_ref"}))
    silent = decide(Facts(AD, to(territory)), LAW, NOW).tracking
    asked = decide(Facts(AD, to(territory, tracking=(consent,))), LAW, NOW).tracking
    assert (silent.open, silent.click) == (allowed, allowed)
    assert (asked.open, asked.click, asked.open_hygiene) == (True, True, True)


@pytest.mark.parametrize("territory", ["US", "AU", "CA", "DE", "FR", "GB", "JP"])
def test_a_person_who_says_no_to_tracking_is_not_tracked_under_any_law(territory: str) -> None:
    decision = decide(Facts(AD, to(territory, tracking=(TrackingSignal(False, NOW_US),))), LAW, NOW)
    assert (decision.tracking.open, decision.tracking.click, decision.tracking.open_hygiene) == (False, False, False)


def test_a_decision_names_what_it_rests_on_and_which_law() -> None:
    decision = decide(Facts(AD, to("US", grants=(CONSENT,))), LAW, NOW)
    assert decision.basis == {"US": "express_consent"}
    assert decision.evidence == ("evt-1",)
    assert decision.law == LAW.version


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        decide(Facts(AD, to("US")), LAW, NOW.replace(tzinfo=None))
