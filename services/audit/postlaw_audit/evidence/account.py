"""The three answers, made of the facts alone: why somebody was mailed, what came of their opt-out, who looked at their data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

_STOPS = ("WITHDRAWN", "REFUSED", "COMPLAINED", "OBJECTED", "RESTRICTED", "PAUSED", "INVALIDATED", "BOUNCED", "ERASED")
_STATES = ("", "claimed", "sent", "refused", "failed", "bounced", "expired", "unknown", "deferred")

Fact = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Statement:
    """`what`: as EvidenceStatement has it. `at_us` 0: no time of its own. `fact` None: no entry of its own, as of what the log lacks."""

    what: str
    at_us: int
    text: str
    fact: Fact | None
    details: Sequence[Statement] = ()


@dataclass(frozen=True, slots=True)
class Account:
    why_mailed: list[Statement] = field(default_factory=list[Statement])
    opted_out: list[Statement] = field(default_factory=list[Statement])
    looked: list[Statement] = field(default_factory=list[Statement])

    def sections(self) -> Iterator[tuple[str, list[Statement]]]:
        yield "Why was this person mailed?", self.why_mailed
        yield "When did they opt out, and what happened then?", self.opted_out
        yield "Who looked at their data?", self.looked


def account_of(facts: Sequence[Fact]) -> Account:
    """`facts` as `fact_of` gives them, oldest first."""
    consents = [fact for fact in facts if fact["type"] == "postlaw.consent.ConsentEvent"]
    batches = [fact for fact in facts if fact["type"] == "postlaw.sending.BatchSettled"]
    mails = [(handed_over_us(fact), fact) for fact in batches if fact["said"].get("handed_over_after_us")]
    told = Account()
    for at_us, fact in mails:
        text = f"handed over, {_state(fact)}, campaign {fact['said'].get('campaign_id', '?')}"
        told.why_mailed.append(Statement("handed_over", at_us, text, fact, [*_decided(fact, facts)]))
    for said, fact in ((fact["said"], fact) for fact in batches if not fact["said"].get("handed_over_after_us")):
        why = f"{_state(fact)} {said.get('reason_texts', '')}".rstrip()
        text = f"not mailed: {why}, campaign {said.get('campaign_id', '?')}"
        told.why_mailed.append(Statement("not_mailed", said.get("started_at_us", 0), text, fact))
    told.why_mailed.extend(map(_act, consents) if consents else [_none("no act of consent is found")])
    for stop in (fact for fact in consents if _kind(fact) in _STOPS):
        recorded_us = _us(stop["said"].get("recorded_at", {}))
        later = [
            Statement("later", at_us, f"handed over later: {moment(at_us)}", fact) for at_us, fact in mails if at_us > recorded_us
        ] or [_none("handed over later: nothing")]
        told.opted_out.append(_act(stop, [*_answered(stop, facts), *later]))
    for fact in facts:
        if fact["type"] == "postlaw.subscribers.SubscriberDeleted":
            text = "erased at the customer's: since then the proof record alone is kept"
            told.opted_out.append(Statement("erased", fact.get("event_time_us", 0), text, fact))
        if fact["type"] == "postlaw.gateway.PersonalDataRead":
            context = fact["context"]
            text = f"{context.get('actor', '?')} by {fact['said'].get('operation', '?')}, from {context.get('network', '?')}"
            told.looked.append(Statement("looked", fact.get("event_time_us", 0), text, fact))
    told.opted_out.extend([] if told.opted_out else [_none("no opt-out is found")])
    told.looked.extend([] if told.looked else [_none("nobody is found")])
    return told


def handed_over_us(fact: Fact) -> int:
    """Of a person's place in a batch that was settled: microseconds since the epoch."""
    return fact["said"].get("started_at_us", 0) + fact["said"].get("handed_over_after_us", 0)


def moment(us: int) -> str:
    return f"{datetime.fromtimestamp(us // 1_000_000, UTC):%Y-%m-%d %H:%M:%S}.{us % 1_000_000:06d} UTC"


def _none(text: str) -> Statement:
    return Statement("none", 0, text, None)


def _decided(mail: Fact, facts: Sequence[Fact]) -> Iterator[Statement]:
    inputs = mail["said"].get("inputs_hash")
    for fact in facts:
        said = fact["said"]
        if inputs and fact["type"] == "postlaw.consent.DecisionsMade" and said.get("inputs_hash") == inputs:
            bases = ", ".join(f"{base['key']}: {base.get('value', '')}" for base in said["verdicts"].get("bases", []))
            at_us = said.get("decided_at_us", 0)
            yield Statement("decided", at_us, f"decided {moment(at_us)} on {said.get('events', 0)} events of theirs", fact)
            yield Statement(
                "law", 0, f"by the law of {said.get('law_version', '?')}; it rests on {bases or 'no basis that is named'}", None
            )


def _answered(stop: Fact, facts: Sequence[Fact]) -> Iterator[Statement]:
    for fact in facts:
        answer = fact["said"].get("withdrawal", {})
        if fact["type"] == "postlaw.consent.WithdrawalAnswered" and answer.get("event_id") == stop["event_id"]:
            outcome, at_us = answer.get("outcome", "?").removeprefix("OUTCOME_").lower(), _us(answer.get("answered_at", {}))
            yield Statement("answered", at_us, f"answered {outcome} at {moment(at_us)}", fact)


def _act(fact: Fact, details: Sequence[Statement] = ()) -> Statement:
    said = fact["said"]
    kind, route = _kind(fact).lower(), said.get("route", "?").removeprefix("ROUTE_").lower()
    wording = f", wording/{said['notice_hash']}.txt" if said.get("notice_hash") else ""
    text = f"{kind} {json.dumps(said.get('scope', {}))} by {route}{wording}"
    return Statement(kind, _us(said.get("recorded_at", {})), text, fact, details)


def _kind(fact: Fact) -> str:
    return str(fact["said"].get("kind", "")).removeprefix("KIND_")


def _state(fact: Fact) -> str:
    return _STATES[fact["said"].get("states", 0)]


def _us(timestamp: dict[str, int]) -> int:
    return timestamp.get("seconds", 0) * 1_000_000 + timestamp.get("nanos", 0) // 1000
