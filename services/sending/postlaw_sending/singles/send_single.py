"""One message of a customer's to one person, from an approved template (gRPC SendSingle): through the same gates as every message."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from postlaw_common.caller import current
from postlaw_common.errors import Conflict, FieldError, Invalid, NotFound
from postlaw_common.ids import new_id
from postlaw_common.placement import Placement
from postlaw_sending.campaigns.clients import Consent, Identity, Subscribers
from postlaw_sending.campaigns.contexts import Contexts
from postlaw_sending.campaigns.domain.campaign import Campaign, Sender
from postlaw_sending.campaigns.domain.ruling import MessageFacts
from postlaw_sending.campaigns.use_cases.create_campaign import ApprovedWords
from postlaw_sending.campaigns.use_cases.move_campaign import SenderCheck
from postlaw_sending.messages.answer import Answer
from postlaw_sending.messages.campaign import CompiledCampaign
from postlaw_sending.messages.footer import NUMBER_OF
from postlaw_sending.singles.domain import Addressee, SentSingle, Words
from postlaw_sending.singles.own_words import of_template
from postlaw_sending.singles.singles import Singles
from postlaw_sending.singles.wire import addressed, envelope_of, job_of_words

_SCOPES = ("audience:read", "decisions:read")


@dataclass(frozen=True, slots=True)
class Asked:
    """By `subscriber_id` or by `address`; the other is ""."""

    idempotency_key: str
    template_id: str
    template_version: int
    sender: Sender
    subscriber_id: str
    address: str
    fields: Mapping[str, str]


class Posting:
    """What every message that is in no words of ours goes through: decided on, sealed, and on the log. Within a context that may read
    decisions."""

    def __init__(self, singles: Singles, consent: Consent, placement: Callable[[], Placement]) -> None:
        self._singles = singles
        self._consent = consent
        self._placement = placement

    async def __call__(
        self, tenant_id: str, key: str, to: Addressee, words: Words | Answer, facts: MessageFacts, *, link: bytes | None = None
    ) -> str:
        """Its id, or that of the message that the key asked for before. `link`: what stands for an unsubscribe token in an advertisement
        to the customer's own people. Raises Conflict, of type `not-allowed`, where the person may not have it; Unavailable."""
        known = await self._singles.find(tenant_id, key)
        if known is not None:
            return known
        partition = self._placement().partition(tenant_id, to.address_key)
        decide = self._consent.decide_single if link is None else self._consent.decide_for_team
        answer = await decide(words.message_id, facts, words.contact, partition, to.address_key)
        [decision] = answer.each
        ruled = answer.rulings[decision.verdict]
        if not decision.allow or ruled.refusals:
            codes = ", ".join(ruled.refusals)
            raise Conflict(f"This message may not go to this person: {codes}.", type="not-allowed")
        job = job_of_words(addressed(to, link or decision.opt_out_token, NUMBER_OF[ruled.why, ruled.labelled]), words)
        sent = SentSingle(tenant_id, words.message_id, "", to.address_key)
        return await self._singles.send(sent, key, partition, envelope_of(tenant_id, answer.gate), job)


class SendSingle:
    """`check` compiles and raises Invalid, naming each wrong field. `may_send_from`: see MoveCampaign."""

    def __init__(
        self,
        post: Posting,
        subscribers: Subscribers,
        identity: Identity,
        contexts: Callable[[], Contexts],
        approved: ApprovedWords,
        check: Callable[[Campaign], CompiledCampaign],
        may_send_from: SenderCheck | None,
    ) -> None:
        self._post = post
        self._subscribers = subscribers
        self._identity = identity
        self._contexts = contexts
        self._approved = approved
        self._check = check
        self._may_send_from = may_send_from

    async def __call__(self, asked: Asked) -> str:
        """Its id, once it is durable. Raises Invalid, NotFound, Conflict (the template is not approved, the domain not verified, the
        person may not have it), Unavailable."""
        caller = current()
        if bool(asked.subscriber_id) == bool(asked.address):
            raise Invalid("To whom is the message to go?", fields=[FieldError("subscriber_id", "give this, or else an address")])
        said = await self._approved(asked.template_id, asked.template_version, caller.tenant_id)
        if said.message.is_marketing:
            wrong = FieldError("template_id", "is of class marketing: send it as a campaign")
            raise Invalid("Only service and transactional templates go to one person.", fields=[wrong])
        if self._may_send_from is not None:
            await self._may_send_from(caller.tenant_id, asked.sender.address)
        message_id = new_id("sgl")
        contact = await self._identity.contact(caller.tenant_id)
        words = Words(message_id, contact, asked.template_id, asked.template_version, asked.sender)
        self._check(of_template(caller.tenant_id, words, asked.sender, said.template))
        purpose = f"message {message_id}"
        async with self._contexts().acting(caller.tenant_id, caller.on_behalf_of or caller.actor, _SCOPES, purpose):
            to = await self._addressee(asked)
            return await self._post(caller.tenant_id, f"own/{asked.idempotency_key or message_id}", to, words, said.message)

    async def _addressee(self, asked: Asked) -> Addressee:
        key, subscriber_id, address = await self._subscribers.resolved(address=asked.address, subscriber_id=asked.subscriber_id)
        known = await self._subscribers.member(key) if subscriber_id else None
        if known is not None:
            return Addressee(key, subscriber_id, known.address, {**known.fields, **asked.fields})
        if not address:
            raise NotFound("There is no such subscriber any more.")
        return Addressee(key, "", address, asked.fields)
