"""Jobs in, outcomes out: the worker's protobuf."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.bus import Received, Record
from postlaw_common.events import Event, to_record
from postlaw_common.ids import new_id
from postlaw_common.telemetry.spans import written
from postlaw_sending.stop.holding import EXPIRED, PENDING, REFUSED, BatchRecord, Place
from postlaw_sending.stop.holdings import wall_clock_us
from postlaw_sending.stop.scope import belonging, recipient_tag
from postlaw_sending.stop.wire import OUTCOMES, scope_text
from postlaw_sending.worker.live_batch import Compiled, LiveBatch, Recipient, expand
from postlaw_sending.worker.mailbox_providers import destinations
from postlaw_sending.worker.routes import Router

BATCH_SETTLED = "postlaw.sending.BatchSettled"

SealedBatch = sending.SealedBatch


def parse_job(record: Received) -> sending.SealedBatch:
    return sending.SealedBatch.FromString(record.value)


def live_batch(
    place: Place,
    sealed: sending.SealedBatch,
    recipients: Sequence[Recipient],
    compiled: Compiled,
    ledger: BatchRecord | None,
    router: Router | None = None,
) -> LiveBatch:
    """A batch as it begins, or (`ledger`) as a predecessor left it. Whom the first gate refused is settled from the start."""
    size = len(recipients)
    states, after_us, transports = expand(ledger) if ledger else (bytearray([PENDING]) * size, [0] * size, bytearray(size))
    reasons = dict(ledger.reasons) if ledger else {}
    if ledger is None:
        for index, recipient in enumerate(recipients):
            if recipient.refusals:
                states[index] = REFUSED
                reasons[index] = ",".join(recipient.refusals)
    return LiveBatch(
        place=place,
        tenant_id=sealed.tenant_id,
        campaign_id=sealed.campaign_id,
        number=sealed.batch,
        attempt=sealed.attempt,
        scope=belonging(scope_text(sealed.scope), sealed.brand),
        consent_offset=sealed.consent_offset,
        law_version=sealed.law_version,
        inputs_hash=sealed.inputs_hash,
        decided_at_us=sealed.decided_at_us,
        expires_at_us=sealed.expires_at_us,
        recipients=recipients,
        tags=[recipient_tag(sealed.tenant_id, recipient.address_key) for recipient in recipients],
        compiled=compiled,
        event_id=ledger.event_id if ledger else new_id("evt"),
        started_at_us=ledger.started_at_us if ledger else wall_clock_us(),
        states=states,
        after_us=after_us,
        transports=transports,
        reasons=reasons,
        routes=router(sealed.tenant_id, place.single or sealed.transactional, recipients) if router else (),
    )


def settled_record(partition: int, batch: LiveBatch, worker: str, epoch: int, generation: str) -> Record:
    """The one event of a batch that has come to its end. Its id was noted when the batch was taken: a repeat is the same event."""
    texts = sorted(set(batch.reasons.values()))
    place = {text: number + 1 for number, text in enumerate(texts)}
    message = sending.BatchSettled(
        tenant_id=batch.tenant_id,
        campaign_id=batch.campaign_id,
        partition=partition,
        batch=batch.number,
        job_offset=batch.place.offset,
        address_keys=[recipient.address_key for recipient in batch.recipients],
        subscriber_ids=[recipient.subscriber_id for recipient in batch.recipients],
        states=bytes(batch.states),
        reasons=[place[batch.reasons[index]] if index in batch.reasons else 0 for index in range(len(batch.states))],
        reason_texts=texts,
        started_at_us=batch.started_at_us,
        handed_over_after_us=batch.after_us,
        transports=bytes(batch.transports),
        worker_id=worker,
        epoch=epoch,
        consent_offset=batch.consent_offset,
        law_version=batch.law_version,
        inputs_hash=batch.inputs_hash,
        decided_at_us=batch.decided_at_us,
        attempt=batch.attempt,
        generation=generation,
        destinations=_destinations(batch),
    )
    event = Event(
        id=batch.event_id,
        type=BATCH_SETTLED,
        source="sending",
        subject=batch.campaign_id,
        sequence=0,
        tenant_id=batch.tenant_id,
        time_us=wall_clock_us(),
        data=message.SerializeToString(),
        actor="service:sending",
        traceparent=written(batch.span) if batch.span is not None else "",
    )
    return to_record(event, OUTCOMES, partition)


def _destinations(batch: LiveBatch) -> list[sending.DestinationOutcome]:
    counted = destinations((recipient.address, state) for recipient, state in zip(batch.recipients, batch.states, strict=True))
    return [
        sending.DestinationOutcome(destination=destination, state=sending.RecipientState.ValueType(state), recipients=number)
        for (destination, state), number in sorted(counted.items())
    ]


class _Unreadable:
    """Stands for people whose batch can no longer be opened; nothing is known of them but their number."""

    address_key = b""
    subscriber_id = ""
    address = ""
    fields: Mapping[str, str] = MappingProxyType({})
    opt_out_token = b""
    footer = 0
    tracking = 0
    refusals = ("batch_unreadable",)

    def render(self, recipient: Recipient) -> bytes:
        raise ValueError("a batch that could not be opened has no messages")

    def envelope_from(self, recipient: Recipient) -> bytes:
        raise ValueError("a batch that could not be opened has no messages")


def unreadable_batch(place: Place, sealed: sending.SealedBatch, ledger: BatchRecord | None) -> LiveBatch:
    """A batch whose campaign key is gone: whoever is not settled yet has expired."""
    nobody = _Unreadable()
    batch = live_batch(place, sealed, [nobody] * sealed.size, nobody, ledger)
    for index, state in enumerate(batch.states):
        if ledger is None or state == PENDING:
            batch.states[index] = EXPIRED
            batch.reasons[index] = "batch_unreadable"
    batch.queues, batch.unclaimed, batch.open = {}, 0, 0
    return batch
