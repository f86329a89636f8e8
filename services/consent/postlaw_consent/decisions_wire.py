"""What the first gate is asked and what it answers: dataclasses to protobuf and back."""

from __future__ import annotations

from typing import cast
from zoneinfo import ZoneInfo

from postlaw.consent.v1 import consent_pb2 as pb
from postlaw_common.errors import FieldError, Invalid
from postlaw_consent.decisions_made import Made
from postlaw_consent.domain.message import Asked, Sender
from postlaw_consent.use_cases.explain_decision import Explained
from postlaw_consent.use_cases.get_decisions import Decisions
from postlaw_consent.use_cases.list_expiring import Expiring
from postlaw_consent.wire import belongs_from_wire, microseconds, scope_to_wire, timestamp
from postlaw_law.clocks import instant
from postlaw_law.clocks import microseconds as law_microseconds
from postlaw_law.decision import Decision, Obligations, Reason, TrackingAllowed
from postlaw_law.words import Basis, Duty, SenderKind


def asked_from_wire(message: pb.Message) -> Asked:
    """What the law asks about a message. Raises Invalid for a word that is not the law's."""
    asked = Asked(message.message_class or "commercial", frozenset(message.states), frozenset(message.defects))
    if wrong := [FieldError(f"message.{field}", problem) for field, problem in asked.problems()]:
        raise Invalid("The law knows no such message.", fields=wrong)
    return asked


def decisions_to_wire(decisions: Decisions) -> pb.GetDecisionsResponse:
    """Field by field: with a bulk's thousand a third of the time of a constructor for each."""
    message = pb.GetDecisionsResponse(
        consent_offset=decisions.consent_offset,
        generation=decisions.generation,
        law_version=decisions.law_version,
        decided_at=timestamp(decisions.decided_at_us),
        expires_at=timestamp(decisions.expires_at_us),
        inputs_hash=decisions.inputs,
        verdicts=map(verdict_to_wire, decisions.verdicts),
    )
    allows = [verdict.allow for verdict in decisions.verdicts]
    add = message.decisions.add
    for place, token in zip(decisions.places, decisions.tokens, strict=True):
        one = add()
        one.verdict = place
        if allows[place]:
            one.allow = True
            if token:
                one.opt_out_token = token
    return message


def verdict_to_wire(decision: Decision) -> pb.Verdict:
    obligations, tracking = decision.obligations, decision.tracking
    return pb.Verdict(
        allow=decision.allow,
        reasons=[pb.Reason(code=reason.code, section=reason.section) for reason in decision.reasons],
        bases=dict(decision.basis or {}),
        expires_at=timestamp(law_microseconds(decision.expires_at)) if decision.expires_at is not None else None,
        duties=sorted(obligations.duties),
        mechanism_days=obligations.mechanism_days,
        opt_out_business_days=obligations.opt_out_business_days,
        open_tracking=tracking.open,
        open_hygiene=tracking.open_hygiene,
        click_tracking=tracking.click,
    )


def encode_made(made: Made) -> bytes:
    """The event that says what the first gate decided."""
    return pb.DecisionsMade(
        tenant_id=made.tenant_id,
        campaign_id=made.campaign_id,
        scope=scope_to_wire(made.belongs.scope),
        brand=made.belongs.brand,
        message=pb.Message(message_class=made.asked.message_class, states=sorted(made.asked.states), defects=sorted(made.asked.defects)),
        sender_territory=made.sender.territory,
        sender_kind=made.sender.kind,
        sender_time_zone=made.sender.zone.key,
        decided_at_us=made.decided_at_us,
        law_version=made.law_version,
        inputs_hash=made.inputs,
        partition=made.partition,
        verdicts=map(verdict_to_wire, made.verdicts),
        address_keys=made.address_keys,
        verdict_of=made.places,
        ends_at_us=made.ends,
        events=made.events,
    ).SerializeToString()


def decode_made(data: bytes) -> Made:
    message = pb.DecisionsMade.FromString(data)
    return Made(
        tenant_id=message.tenant_id,
        campaign_id=message.campaign_id,
        belongs=belongs_from_wire(message.scope, message.brand),
        asked=asked_from_wire(message.message),
        sender=Sender(message.sender_territory, cast("SenderKind", message.sender_kind), ZoneInfo(message.sender_time_zone)),
        decided_at_us=message.decided_at_us,
        law_version=message.law_version,
        inputs=message.inputs_hash,
        partition=message.partition,
        verdicts=[_verdict_from_wire(verdict, message.law_version) for verdict in message.verdicts],
        address_keys=list(message.address_keys),
        places=list(message.verdict_of),
        ends=list(message.ends_at_us),
        events=list(message.events),
    )


def _verdict_from_wire(message: pb.Verdict, law_version: str) -> Decision:
    """Without the evidence, which is each person's own."""
    return Decision(
        allow=message.allow,
        basis=cast("dict[str, Basis]", dict(message.bases)) if message.allow else None,
        reasons=tuple(Reason(reason.code, reason.section) for reason in message.reasons),
        expires_at=instant(microseconds(message.expires_at)) if message.HasField("expires_at") else None,
        obligations=Obligations(cast("frozenset[Duty]", frozenset(message.duties)), message.mechanism_days, message.opt_out_business_days),
        tracking=TrackingAllowed(message.open_tracking, message.open_hygiene, message.click_tracking),
        evidence=(),
        law=law_version,
    )


def expiring_to_wire(expiring: Expiring) -> pb.ListExpiringResponse:
    return pb.ListExpiringResponse(
        expiring=[
            pb.ExpiringConsent(address_key=one.address_key, version=one.version, expires_at=timestamp(one.ends_us)) for one in expiring.page
        ],
        next_page_token=expiring.following,
        within_30_days=expiring.within[30],
        within_60_days=expiring.within[60],
        within_90_days=expiring.within[90],
    )


def explained_to_wire(explained: Explained) -> pb.ExplainedDecision:
    return pb.ExplainedDecision(
        verdict=verdict_to_wire(explained.decision),
        evidence=explained.evidence,
        law_version=explained.decision.law,
        decided_at=timestamp(explained.decided_at_us),
    )
