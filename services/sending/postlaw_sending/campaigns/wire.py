"""Campaigns' protobuf on one side, plain values on the other.

Longer than most by a few lines: both ways of each message stand side by side.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from google.protobuf.timestamp_pb2 import Timestamp

from postlaw.consent.v1 import consent_pb2 as consent
from postlaw.identity.v1 import context_pb2 as identity
from postlaw.sending.v1 import sending_pb2 as sending
from postlaw.subscribers.v1 import subscribers_pb2 as subscribers
from postlaw_common.caller import Actor
from postlaw_common.errors import FieldError, Invalid
from postlaw_sending.campaigns.domain.campaign import Campaign, Sender, Status, Template
from postlaw_sending.campaigns.domain.images import Image
from postlaw_sending.campaigns.domain.recipients import Outcome, Settled, State, Totals
from postlaw_sending.campaigns.domain.ruling import COMMERCIAL, NOT_ALLOWED, MessageFacts, Ruling, defects, ruling
from postlaw_sending.campaigns.domain.schedule import Schedule
from postlaw_sending.campaigns.wire_ab_test import ab_test_from_wire, ab_test_to_wire
from postlaw_sending.messages.footer import NUMBER_OF
from postlaw_sending.tracking.domain import Tracking
from postlaw_sending.tracking.wire import tracking_from_wire, tracking_to_wire
from postlaw_sending.worker.mailbox_providers import provider_of

CAMPAIGNS = "postlaw.sending.campaigns.v1"
JOBS = "postlaw.sending.jobs.v1"
OUTCOMES = "postlaw.sending.outcomes.v1"
CAMPAIGN_CHANGED = "postlaw.sending.CampaignChanged"

JobRecipient = sending.JobRecipient
SealedBatch = sending.SealedBatch
Decision = consent.Decision
Member = subscribers.AudienceMember

_STATUS = {
    Status.DRAFT: sending.Campaign.STATUS_DRAFT,
    Status.SCHEDULED: sending.Campaign.STATUS_SCHEDULED,
    Status.SENDING: sending.Campaign.STATUS_SENDING,
    Status.PAUSED: sending.Campaign.STATUS_PAUSED,
    Status.CANCELLED: sending.Campaign.STATUS_CANCELLED,
    Status.FINISHED: sending.Campaign.STATUS_FINISHED,
}
_STATUS_BACK = {number: status for status, number in _STATUS.items()}
ACTOR_KINDS = {
    "api_key": identity.Actor.KIND_API_KEY,
    "user": identity.Actor.KIND_USER,
    "service": identity.Actor.KIND_SERVICE,
    "person": identity.Actor.KIND_PERSON,
    "operator": identity.Actor.KIND_OPERATOR,
}


@dataclass(frozen=True, slots=True)
class Gate:
    """On what the first gate decided a batch, and until when it may be used. Times in microseconds since the epoch."""

    consent_offset: int
    law_version: str
    decided_at_us: int
    expires_at_us: int
    generation: str  # of the topics, to which the offset belongs
    inputs_hash: bytes


def timestamp(us: int) -> Timestamp | None:
    return Timestamp(seconds=us // 1_000_000, nanos=us % 1_000_000 * 1000) if us else None


def micros(at: Timestamp) -> int:
    return at.seconds * 1_000_000 + at.nanos // 1000


def campaign_to_wire(campaign: Campaign, totals: Totals | None = None, responses: Sequence[int] = ()) -> sending.Campaign:
    """`responses`: how many people responded to each variant of its A/B test."""
    return sending.Campaign(
        campaign_id=campaign.campaign_id,
        tenant_id=campaign.tenant_id,
        name=campaign.name,
        list_id=campaign.list_id,
        sender=sender_to_wire(campaign.sender),
        template=template_to_wire(campaign.template),
        status=_STATUS[campaign.status],
        totals=totals_to_wire(totals) if totals else None,
        created_at=timestamp(campaign.created_at_us),
        launched_at=timestamp(campaign.launched_at_us),
        finished_at=timestamp(campaign.ended_at_us),
        version=campaign.version,
        message=law_message(campaign),
        brand=campaign.brand,
        template_id=campaign.template_id,
        template_version=campaign.template_version,
        paused_because=campaign.paused_because,
        schedule=schedule_to_wire(campaign.schedule) if campaign.schedule else None,
        messages_per_hour=campaign.messages_per_hour,
        ab_test=ab_test_to_wire(campaign.ab_test, responses) if campaign.ab_test else None,
        mail_unknown_again=campaign.mail_unknown_again,
        tracking=tracking_to_wire(campaign.tracking),
        forward_answers_to=campaign.forward_answers_to,
        leave_out_silent_days=campaign.leave_out_silent_days,
    )


def campaign_from_wire(message: sending.Campaign) -> Campaign:
    """All but the list's name, the table of links, who scheduled and launched it and the contact of then, which are not said outside."""
    return Campaign(
        campaign_id=message.campaign_id,
        tenant_id=message.tenant_id,
        name=message.name,
        list_id=message.list_id,
        list_name="",
        sender=sender_from_wire(message.sender),
        template=template_from_wire(message.template),
        message=facts_from_wire(message.message),
        status=_STATUS_BACK[message.status],
        created_at_us=micros(message.created_at),
        launched_at_us=micros(message.launched_at),
        ended_at_us=micros(message.finished_at),
        version=message.version,
        brand=message.brand,
        template_id=message.template_id,
        template_version=message.template_version,
        paused_because=message.paused_because,
        schedule=schedule_from_wire(message.schedule) if message.HasField("schedule") else None,
        messages_per_hour=message.messages_per_hour,
        ab_test=ab_test_from_wire(message.ab_test) if message.HasField("ab_test") else None,
        mail_unknown_again=message.mail_unknown_again,
        tracking=tracking_from_wire(message.tracking),
        forward_answers_to=message.forward_answers_to,
        leave_out_silent_days=message.leave_out_silent_days,
    )


def schedule_to_wire(schedule: Schedule) -> sending.Schedule:
    return sending.Schedule(at=timestamp(schedule.at_us), local_time=schedule.local_time, time_zone=schedule.time_zone)


def schedule_from_wire(schedule: sending.Schedule) -> Schedule:
    """But for who scheduled it, which is not said outside."""
    return Schedule(micros(schedule.at), schedule.local_time, schedule.time_zone)


def sender_from_wire(sender: sending.Sender) -> Sender:
    return Sender(sender.name, sender.address, sender.postal_address, sender.reply_to)


def sender_to_wire(sender: Sender) -> sending.Sender:
    return sending.Sender(name=sender.name, address=sender.address, postal_address=sender.postal_address, reply_to=sender.reply_to)


def template_from_wire(template: sending.Template) -> Template:
    images = tuple(Image(image.name, image.content_type, image.content) for image in template.images)
    return Template(template.subject, template.html, template.text, images)


def template_to_wire(template: Template) -> sending.Template:
    images = [sending.Image(name=image.name, content_type=image.content_type, content=image.content) for image in template.images]
    return sending.Template(subject=template.subject, html=template.html, text=template.text, images=images)


def without_images(template: Template) -> Template:
    """As it is listed: an answer of many would not hold them all."""
    return replace(template, images=tuple(replace(image, content=b"") for image in template.images))


def facts_from_wire(message: consent.Message) -> MessageFacts:
    return MessageFacts(message.message_class or COMMERCIAL, tuple(sorted(set(message.states))))


def facts_given(message: consent.Message) -> MessageFacts:
    """As a customer states them. Raises Invalid."""
    facts = facts_from_wire(message)
    wrong = dict(facts.wrong())
    if message.defects:
        wrong["defects"] = "leave them out: sending finds them itself"
    if wrong:
        fields = [FieldError(f"message.{name}", what) for name, what in wrong.items()]
        raise Invalid("What the campaign says of its messages is not in the law's words.", fields=fields)
    return facts


def law_message(campaign: Campaign) -> consent.Message:
    """What the first gate is asked about; a draft has no contact yet, and what it lacks is not said before its launch."""
    message = consent.Message(message_class=campaign.message.message_class, states=campaign.message.states)
    if campaign.launched_at_us:
        message.defects.extend(defects(campaign.contact))
    return message


def ruling_of(verdict: consent.Verdict, tracking: Tracking) -> Ruling:
    allowed = tracking.allowed(opens=verdict.open_tracking, clicks=verdict.click_tracking)
    return ruling(verdict.allow, (reason.code for reason in verdict.reasons), set(verdict.bases.values()), verdict.duties, allowed)


def totals_to_wire(totals: Totals) -> sending.Totals:
    tally = totals.tally
    return sending.Totals(
        audience=totals.audience,
        audience_complete=totals.audience_complete,
        pending=totals.pending,
        sent=tally.sent,
        refused=tally.refused,
        failed=tally.failed,
        bounced=tally.bounced,
        expired=tally.expired,
        unknown=tally.unknown,
        refused_by_reason=tally.refused_by_reason,
    )


def recipient_to_wire(outcome: Outcome) -> sending.Recipient:
    return sending.Recipient(
        subscriber_id=outcome.subscriber_id,
        address_key=outcome.address_key,
        state=sending.RecipientState.ValueType(outcome.state),
        reason=outcome.reason,
        handed_over_at=timestamp(outcome.handed_over_at_us),
    )


def changed(campaign: Campaign, actor: Actor | None) -> bytes:
    """A CampaignChanged of this version."""
    return sending.CampaignChanged(
        tenant_id=campaign.tenant_id,
        campaign_id=campaign.campaign_id,
        status=_STATUS[campaign.status],
        version=campaign.version,
        winner=campaign.ab_test.winner if campaign.ab_test else 0,
        paused_because=campaign.paused_because,
        actor=actor_to_wire(actor) if actor else None,
    ).SerializeToString()


def actor_to_wire(actor: Actor) -> identity.Actor:
    return identity.Actor(kind=ACTOR_KINDS[actor.kind], id=actor.id)


def status_of(value: bytes) -> tuple[str, str, int]:
    """(campaign_id, status, version) of a CampaignChanged."""
    event = sending.CampaignChanged.FromString(value)
    return event.campaign_id, _STATUS_BACK[event.status].value, event.version


def settled(value: bytes) -> Settled:
    """A BatchSettled. ValueError when its parallel lists differ in length."""
    event = sending.BatchSettled.FromString(value)
    size = len(event.states)
    texts = ("", *event.reason_texts)
    reasons = [texts[number] for number in event.reasons] if event.reasons else [""] * size
    after = list(event.handed_over_after_us) or [0] * size
    if not len(event.address_keys) == len(event.subscriber_ids) == len(reasons) == len(after) == size:
        raise ValueError(f"batch {event.batch} of {event.campaign_id} has lists of different lengths")
    return Settled(
        tenant_id=event.tenant_id,
        campaign_id=event.campaign_id,
        partition=event.partition,
        batch=event.batch,
        attempt=event.attempt,
        started_at_us=event.started_at_us,
        states=event.states,
        address_keys=event.address_keys,
        subscriber_ids=event.subscriber_ids,
        reasons=reasons,
        handed_over_after_us=after,
    )


def state_from_wire(state: int) -> State:
    return State(state)


def job_batch(people: bytes, decisions: Sequence[consent.Decision], rulings: Sequence[Ruling]) -> bytes:
    """A JobBatch of the audience's page and the first gate's answers, in the same order; `rulings`: what its verdicts say.

    `people` is the AudiencePeople as it came: the two messages agree in their first four fields (a test holds them to it), so that
    a page of 200 changes its name without a copy in Python."""
    batch = sending.JobBatch.FromString(people)
    for recipient, decision in zip(batch.recipients, decisions, strict=True):
        _decide(recipient, decision, rulings[decision.verdict])
    return batch.SerializeToString()


def job_batch_again(
    address_keys: Sequence[bytes],
    people: Mapping[bytes, bytes],
    decisions: Mapping[bytes, consent.Decision],
    rulings: Sequence[Ruling],
    ids: Mapping[bytes, str],
    otherwise: str,
) -> bytes:
    """A JobBatch of exactly these recipients: who is not in `people` stays in it, refused, so that it accounts for everyone.

    `people`: AudienceMembers by address_key; `ids`: subscriber ids of those that are not there; `otherwise`: why they are refused."""
    batch = sending.JobBatch()
    for key in address_keys:
        recipient = batch.recipients.add()
        if key in people:
            recipient.ParseFromString(people[key])
            _decide(recipient, decisions[key], rulings[decisions[key].verdict])
        else:
            recipient.address_key, recipient.subscriber_id = key, ids.get(key, "")
            recipient.refusals.append(otherwise)
    return batch.SerializeToString()


def _decide(recipient: sending.JobRecipient, decision: consent.Decision, ruled: Ruling) -> None:
    if decision.allow and not ruled.refusals:
        recipient.opt_out_token = decision.opt_out_token
        recipient.footer = NUMBER_OF[ruled.why, ruled.labelled]
        if ruled.tracking:
            recipient.tracking = ruled.tracking
        return
    _refuse(recipient, ruled.refusals or (NOT_ALLOWED,))


def _refuse(recipient: sending.JobRecipient, refusals: Sequence[str]) -> None:
    for field in ("address", "fields", "opt_out_token"):
        recipient.ClearField(field)
    recipient.refusals.extend(refusals)


def refuse(people: bytes, address_keys: Collection[bytes], reason: str) -> bytes:
    """A JobBatch in which those of these whom the law allows are refused as well."""
    batch = sending.JobBatch.FromString(people)
    for recipient in batch.recipients:
        if recipient.address_key in address_keys and not recipient.refusals:
            _refuse(recipient, (reason,))
    return batch.SerializeToString()


def refuse_at(people: bytes, providers: Collection[str], reason: str) -> bytes:
    """A JobBatch in which these mailbox providers' people are refused as well."""
    batch = sending.JobBatch.FromString(people)
    for recipient in batch.recipients:
        if not recipient.refusals and provider_of(recipient.address.rpartition("@")[2]) in providers:
            _refuse(recipient, (reason,))
    return batch.SerializeToString()


def sealed_batch(campaign: Campaign, batch: int, attempt: int, gate: Gate, size: int, sealed: bytes, variant: int = 0) -> bytes:
    return sending.SealedBatch(
        tenant_id=campaign.tenant_id,
        campaign_id=campaign.campaign_id,
        batch=batch,
        attempt=attempt,
        scope=list_scope(campaign.list_id),
        brand=campaign.brand,
        consent_offset=gate.consent_offset,
        law_version=gate.law_version,
        decided_at_us=gate.decided_at_us,
        expires_at_us=gate.expires_at_us,
        size=size,
        sealed=sealed,
        generation=gate.generation,
        inputs_hash=gate.inputs_hash,
        variant=variant,
        transactional=not campaign.message.is_marketing,
    ).SerializeToString()


def members(people: bytes) -> Sequence[Member]:
    """Of an AudiencePeople."""
    return subscribers.AudiencePeople.FromString(people).members


def people_of(members: Sequence[Member]) -> bytes:
    """An AudiencePeople of these."""
    return subscribers.AudiencePeople(members=members).SerializeToString()


def recipients(batch: bytes) -> list[sending.JobRecipient]:
    return list(sending.JobBatch.FromString(batch).recipients)


def list_scope(list_id: str) -> consent.Scope:
    return consent.Scope(list_id=list_id)


def batch_number(value: bytes) -> tuple[str, int]:
    """(campaign_id, batch) of a SealedBatch."""
    sealed = sending.SealedBatch.FromString(value)
    return sealed.campaign_id, sealed.batch
