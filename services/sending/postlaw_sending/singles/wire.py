"""Single messages as protobuf."""

from __future__ import annotations

from postlaw.consent.v1 import consent_pb2 as consent
from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.errors import FieldError, Invalid
from postlaw_sending.campaigns.domain.campaign import Sender
from postlaw_sending.campaigns.wire import Gate, sender_from_wire, sender_to_wire
from postlaw_sending.messages.answer import Answer
from postlaw_sending.messages.single import TEMPLATES, Single
from postlaw_sending.singles.domain import Addressee, Decided, Words

Request = sending.SendMessageRequest
SealedBatch = sending.SealedBatch

_TEMPLATES = {
    sending.SendMessageRequest.TEMPLATE_CONFIRM_SIGN_UP: "confirm_sign_up",
    sending.SendMessageRequest.TEMPLATE_CHANGE_DETAILS: "change_details",
    sending.SendMessageRequest.TEMPLATE_CONFIRM_ADDRESS: "confirm_address",
    sending.SendMessageRequest.TEMPLATE_CONFIRM_TEAM_ADDRESS: "confirm_team_address",
}


def job(request: Request, message_id: str, address: str, contact: str) -> bytes:
    """A SingleJob, whose message comes from `address`. Raises Invalid for a template that is not known."""
    if _TEMPLATES.get(request.template) not in TEMPLATES:
        raise Invalid("There is no such template.", fields=[FieldError("template", "is not known")])
    recipient = sending.JobRecipient(address_key=request.address_key, address=request.address, opt_out_token=request.opt_out_token)
    message = sending.SingleMessage(
        message_id=message_id,
        template=request.template,
        language=request.language,
        sender=sending.Sender(name=request.sender.name, address=address, postal_address=request.sender.postal_address),
        contact=contact,
        list_name=request.list_name,
        action_url=request.action_url,
    )
    return sending.SingleJob(recipient=recipient, message=message).SerializeToString()


def opened(job: bytes) -> tuple[sending.JobRecipient, Single | Words | Answer]:
    read = sending.SingleJob.FromString(job)
    if read.HasField("answer"):
        told = read.answer
        answer = Answer(
            message_id=told.message_id,
            contact=told.contact,
            sender_name=told.sender_name,
            sender_address=told.sender_address,
            name=told.name,
            reply_to=told.reply_to,
            subject=told.subject,
            content=told.content,
        )
        return read.recipient, answer
    if read.HasField("words"):
        said = read.words
        sender = sender_from_wire(said.sender) if said.HasField("sender") else None
        words = Words(
            said.message_id, said.contact, said.template_id, said.template_version, sender, said.campaign_id, said.variant, said.test
        )
        return read.recipient, words
    single = read.message
    return read.recipient, Single(
        message_id=single.message_id,
        template=_TEMPLATES[single.template],
        language=single.language,
        sender_name=single.sender.name,
        sender_address=single.sender.address,
        postal_address=single.sender.postal_address,
        contact=single.contact,
        list_name=single.list_name,
        action_url=single.action_url,
    )


def job_of_words(recipient: sending.JobRecipient, words: Words | Answer) -> bytes:
    """A SingleJob in words of the customer's, or of who answered them."""
    if isinstance(words, Answer):
        told = sending.ForwardedAnswer(
            message_id=words.message_id,
            contact=words.contact,
            sender_name=words.sender_name,
            sender_address=words.sender_address,
            name=words.name,
            reply_to=words.reply_to,
            subject=words.subject,
            content=words.content,
        )
        return sending.SingleJob(recipient=recipient, answer=told).SerializeToString()
    said = sending.SingleWords(
        message_id=words.message_id,
        contact=words.contact,
        template_id=words.template_id,
        template_version=words.template_version,
        sender=sender_to_wire(words.sender) if words.sender else None,
        campaign_id=words.campaign_id,
        variant=words.variant,
        test=words.test,
    )
    return sending.SingleJob(recipient=recipient, words=said).SerializeToString()


def addressed(to: Addressee, token: bytes, footer: int) -> sending.JobRecipient:
    return sending.JobRecipient(
        address_key=to.address_key,
        subscriber_id=to.subscriber_id,
        address=to.address,
        fields=to.fields,
        opt_out_token=token,
        footer=footer,
    )


def asked_of_team(
    *,
    key: str,
    address_key: bytes,
    address: str,
    sender: Sender,
    language: str,
    action_url: str,
    opt_out_token: bytes,
    gate: Gate,
) -> Request:
    """The mail that asks at a team address, as consent asks for its own."""
    return Request(
        idempotency_key=key,
        template=Request.TEMPLATE_CONFIRM_TEAM_ADDRESS,
        language=language,
        sender=sender_to_wire(sender),
        scope=consent.Scope(everything=True),
        address_key=address_key,
        address=address,
        action_url=action_url,
        opt_out_token=opt_out_token,
        consent_offset=gate.consent_offset,
        generation=gate.generation,
        law_version=gate.law_version,
        decided_at_us=gate.decided_at_us,
        expires_at_us=gate.expires_at_us,
        inputs_hash=gate.inputs_hash,
    )


def envelope_of(tenant_id: str, gate: Gate) -> bytes:
    """As `envelope`, of a message that belongs to no list: whoever says no to everything stops it."""
    return SealedBatch(
        tenant_id=tenant_id,
        scope=consent.Scope(everything=True),
        consent_offset=gate.consent_offset,
        generation=gate.generation,
        law_version=gate.law_version,
        decided_at_us=gate.decided_at_us,
        expires_at_us=gate.expires_at_us,
        inputs_hash=gate.inputs_hash,
        size=1,
    ).SerializeToString()


def decided(request: Request) -> Decided:
    return Decided(
        consent_offset=request.consent_offset,
        generation=request.generation,
        law_version=request.law_version,
        decided_at_us=request.decided_at_us,
        expires_at_us=request.expires_at_us,
        inputs_hash=request.inputs_hash,
    )


def envelope(request: Request, tenant_id: str) -> bytes:
    """What every attempt's SealedBatch says alike; the attempt and what is sealed are put in by `sealed_batch`."""
    said = decided(request)
    return SealedBatch(
        tenant_id=tenant_id,
        scope=request.scope,
        brand=request.brand,
        consent_offset=said.consent_offset,
        generation=said.generation,
        law_version=said.law_version,
        decided_at_us=said.decided_at_us,
        expires_at_us=said.expires_at_us,
        inputs_hash=said.inputs_hash,
        size=1,
    ).SerializeToString()


def sealed_batch(envelope: bytes, attempt_id: str, attempt: int, sealed: bytes) -> bytes:
    batch = SealedBatch.FromString(envelope)
    batch.campaign_id, batch.attempt, batch.sealed = attempt_id, attempt, sealed
    return batch.SerializeToString()
