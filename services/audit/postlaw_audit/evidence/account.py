"""The three answers in words, made of the facts alone: why somebody was mailed, what came of their opt-out, who looked at their data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

_STOPS = ("WITHDRAWN", "REFUSED", "COMPLAINED", "OBJECTED", "RESTRICTED", "PAUSED", "INVALIDATED", "BOUNCED", "ERASED")
_STATES = ("", "claimed", "sent", "refused", "failed", "bounced", "expired", "unknown", "deferred")

Fact = dict[str, Any]


def account_of(facts: Sequence[Fact], searched_below: int, *, complete: bool) -> str:
    """Plain text. `facts` as `fact_of` gives them, oldest first."""
    consents = [fact for fact in facts if fact["type"] == "postlaw.consent.ConsentEvent"]
    batches = [fact for fact in facts if fact["type"] == "postlaw.sending.BatchSettled"]
    mails = [(_handed_over_us(fact), fact) for fact in batches if fact["said"].get("handed_over_after_us")]
    lines = ["WHY WAS THIS PERSON MAILED?"]
    for at_us, fact in mails:
        lines.append(f"  {_at(at_us)}  handed over, {_state(fact)}, campaign {fact['said'].get('campaign_id', '?')}{_entry(fact)}")
        lines += _decided(fact, facts)
    for said, fact in ((fact["said"], fact) for fact in batches if not fact["said"].get("handed_over_after_us")):
        why = f"{_state(fact)} {said.get('reason_texts', '')}".rstrip()
        lines.append(f"  not mailed: {why}, campaign {said.get('campaign_id', '?')}{_entry(fact)}")
    lines += [f"  {_consented(fact)}" for fact in consents] or ["  no act of consent is found"]
    lines += ["", "WHEN DID THEY OPT OUT, AND WHAT HAPPENED THEN?"]
    stops = [fact for fact in consents if _kind(fact) in _STOPS]
    for stop in stops:
        lines += [f"  {_consented(stop)}", *_answered(stop, facts)]
        later = [
            f"    handed over later: {_at(at_us)}{_entry(fact)}"
            for at_us, fact in mails
            if at_us > _us(stop["said"].get("recorded_at", {}))
        ]
        lines += later or ["    handed over later: nothing"]
    lines += [] if stops else ["  no opt-out is found"]
    lines += ["", "WHO LOOKED AT THEIR DATA?"]
    looked = [fact for fact in facts if fact["type"] == "postlaw.gateway.PersonalDataRead"]
    lines += [
        f"  {_at(fact.get('event_time_us', 0))}  {fact['context'].get('actor', '?')} by {fact['said'].get('operation', '?')}, from "
        f"{fact['context'].get('network', '?')}{_entry(fact)}"
        for fact in looked
    ] or ["  nobody is found"]
    searched = f"Searched: all entries of the log below {searched_below}." if complete else "Only the newest are told: there are more."
    return "\n".join([*lines, "", searched, ""])


def _decided(mail: Fact, facts: Sequence[Fact]) -> Iterator[str]:
    inputs = mail["said"].get("inputs_hash")
    for fact in facts:
        said = fact["said"]
        if inputs and fact["type"] == "postlaw.consent.DecisionsMade" and said.get("inputs_hash") == inputs:
            bases = ", ".join(f"{base['key']}: {base.get('value', '')}" for base in said["verdicts"].get("bases", []))
            yield f"    decided {_at(said.get('decided_at_us', 0))} on {said.get('events', 0)} events of theirs{_entry(fact)}"
            yield f"    by the law of {said.get('law_version', '?')}; it rests on {bases or 'no basis that is named'}"


def _answered(stop: Fact, facts: Sequence[Fact]) -> Iterator[str]:
    for fact in facts:
        answer = fact["said"].get("withdrawal", {})
        if fact["type"] == "postlaw.consent.WithdrawalAnswered" and answer.get("event_id") == stop["event_id"]:
            outcome = answer.get("outcome", "?").removeprefix("OUTCOME_").lower()
            yield f"    answered {outcome} at {_at(_us(answer.get('answered_at', {})))}{_entry(fact)}"


def _consented(fact: Fact) -> str:
    said = fact["said"]
    route = said.get("route", "?").removeprefix("ROUTE_").lower()
    wording = f", wording/{said['notice_hash']}.txt" if said.get("notice_hash") else ""
    scope = json.dumps(said.get("scope", {}))
    return f"{_at(_us(said.get('recorded_at', {})))}  {_kind(fact).lower()} {scope} by {route}{wording}{_entry(fact)}"


def _kind(fact: Fact) -> str:
    return str(fact["said"].get("kind", "")).removeprefix("KIND_")


def _state(fact: Fact) -> str:
    return _STATES[fact["said"].get("states", 0)]


def _handed_over_us(fact: Fact) -> int:
    return fact["said"].get("started_at_us", 0) + fact["said"]["handed_over_after_us"]


def _us(timestamp: dict[str, int]) -> int:
    return timestamp.get("seconds", 0) * 1_000_000 + timestamp.get("nanos", 0) // 1000


def _at(us: int) -> str:
    return f"{datetime.fromtimestamp(us // 1_000_000, UTC):%Y-%m-%d %H:%M:%S}.{us % 1_000_000:06d} UTC"


def _entry(fact: Fact) -> str:
    return f"  [entry {fact['index']}]"
