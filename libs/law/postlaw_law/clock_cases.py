"""A case of a clock as JSON, in the format of the clock vectors: what is due, by the law."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from typing import Any, Literal
from zoneinfo import ZoneInfo

from postlaw_law import deadlines
from postlaw_law.case_fields import Fields
from postlaw_law.law import Law
from postlaw_law.words import RequestType

Rule = Literal[
    "US_OPTOUT_10BD", "CA_UNSUB_10BD", "AU_WITHDRAW_5BD", "MECH_VALID", "CA_IMPLIED", "EU_DSR", "UK_DSR", "BREACH_72H", "MAILBOX_48H"
]

CASE_FIELDS = frozenset({"id", "note", "source", "strict_default", "rule", "start", "tz", "holidays", "facts", "expect"})


def due(case: Fields, law: Law) -> dict[str, Any]:
    """The answer in the words of a vector's `expect`. Raises CaseInvalid."""
    rule: Rule = case.one_of("rule", Rule)
    zone = case.zone("tz", "UTC")
    return _RULES[rule](case, law, zone, frozenset(case.days("holidays", zone)))


def _opt_out(regime: str) -> Callable[[Fields, Law, ZoneInfo, frozenset[date]], dict[str, Any]]:
    def last_day(case: Fields, law: Law, zone: ZoneInfo, holidays: frozenset[date]) -> dict[str, Any]:
        case.child("facts", ())
        return {"last_day": deadlines.opt_out_honoured_by(law, regime, case.day("start", zone), holidays).isoformat()}

    return last_day


def _withdrawal_au(case: Fields, law: Law, zone: ZoneInfo, holidays: frozenset[date]) -> dict[str, Any]:
    facts = case.child("facts", {"sender_tz"})
    zones = (zone, facts.zone("sender_tz")) if facts.has("sender_tz") else (zone,)
    end = deadlines.earliest_withdrawal_end(law, "AU", [case.day("start", one) for one in zones], holidays)
    return {"effective_end": end.isoformat()}


def _mechanism(case: Fields, law: Law, zone: ZoneInfo, holidays: frozenset[date]) -> dict[str, Any]:
    regime = case.child("facts", {"regime"}).one_of("regime", Literal["US", "CA", "AU", "ZZ"])
    return {"valid_through": deadlines.mechanism_valid_through(law, regime, case.day("start", zone)).isoformat()}


def _implied(case: Fields, law: Law, zone: ZoneInfo, holidays: frozenset[date]) -> dict[str, Any]:
    facts = case.child("facts", {"months", "later_anchors"})
    anchors = [case.day("start", zone), *facts.days("later_anchors", zone)]
    return {"last_day": deadlines.implied_consent_last_day(anchors, facts.number("months", most=1200)).isoformat()}


def _subject_request_eu(case: Fields, law: Law, zone: ZoneInfo, holidays: frozenset[date]) -> dict[str, Any]:
    facts = case.child("facts", {"extension_notice", "identity", "clarify"})
    return _subject_request(case, facts, law, "EU", zone, holidays)


def _subject_request_uk(case: Fields, law: Law, zone: ZoneInfo, holidays: frozenset[date]) -> dict[str, Any]:
    facts = case.child("facts", {"extension_notice", "identity_info_received", "fee_paid", "clarify", "request_type"})
    return _subject_request(case, facts, law, "UK", zone, holidays)


def _subject_request(case: Fields, facts: Fields, law: Law, regime: str, zone: ZoneInfo, holidays: frozenset[date]) -> dict[str, Any]:
    request = deadlines.SubjectRequest(
        received=case.day("start", zone),
        type=facts.one_of("request_type", RequestType) if facts.has("request_type") else None,
        prerequisites=tuple((what, facts.day(what, zone)) for what in ("identity_info_received", "fee_paid") if facts.has(what)),
        pausing=tuple(_pausing(why, facts, zone) for why in ("identity", "clarify") if facts.has(why)),
        extension_notice=facts.day("extension_notice", zone) if facts.has("extension_notice") else None,
    )
    found = deadlines.subject_request_due(law, regime, request, holidays)
    answer: dict[str, Any] = {"due": found.day.isoformat()}
    return answer if found.extension_valid is None else {**answer, "extension_valid": found.extension_valid}


def _pausing(why: Literal["identity", "clarify"], facts: Fields, zone: ZoneInfo) -> deadlines.Pausing:
    asking = facts.child(why, {"asked", "answered", "asked_promptly"})
    answered = asking.day("answered", zone) if asking.has("answered") else None
    return deadlines.Pausing(why, asking.day("asked", zone), answered, asking.flag("asked_promptly"))


def _breach(case: Fields, law: Law, zone: ZoneInfo, holidays: frozenset[date]) -> dict[str, Any]:
    facts = case.child("facts", {"controller_informed", "regime"})
    aware = _instant(facts, "controller_informed", zone) if facts.has("controller_informed") else _instant(case, "start", zone)
    regime = facts.one_of("regime", Literal["EU", "UK"], "EU")
    return {"due_at": _utc(deadlines.breach_due(law, regime, aware))}


def _one_click(case: Fields, law: Law, zone: ZoneInfo, holidays: frozenset[date]) -> dict[str, Any]:
    case.child("facts", ())
    return {"due_at": _utc(deadlines.one_click_honoured_by(law, _instant(case, "start", zone)))}


def _instant(fields: Fields, name: str, zone: ZoneInfo) -> datetime:
    """A clock of hours that is given only a day began, at the earliest, with it."""
    if "T" in fields.text(name):
        return fields.instant(name)
    return datetime.combine(fields.day(name, zone), time(), zone)


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


_RULES: dict[Rule, Callable[[Fields, Law, ZoneInfo, frozenset[date]], dict[str, Any]]] = {
    "US_OPTOUT_10BD": _opt_out("US"),
    "CA_UNSUB_10BD": _opt_out("CA"),
    "AU_WITHDRAW_5BD": _withdrawal_au,
    "MECH_VALID": _mechanism,
    "CA_IMPLIED": _implied,
    "EU_DSR": _subject_request_eu,
    "UK_DSR": _subject_request_uk,
    "BREACH_72H": _breach,
    "MAILBOX_48H": _one_click,
}
