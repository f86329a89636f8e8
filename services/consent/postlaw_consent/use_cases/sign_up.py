"""Somebody signs up on a form. The answer comes first and is the same for everyone; what is to be done is durable by then, and done after.

Done may mean: nothing. Who is suppressed gets no mail, no event opens anything for them, and nobody is told.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from postlaw_common.errors import Conflict, FieldError, Invalid, NotFound
from postlaw_common.ids import new_id
from postlaw_consent.confirmation_caps import ConfirmationCaps
from postlaw_consent.domain.confirmation import LIFE_US, Confirmation
from postlaw_consent.domain.event import Actor, Kind
from postlaw_consent.domain.form import Form
from postlaw_consent.domain.particulars import Particulars
from postlaw_consent.forms import Forms
from postlaw_consent.ledger import Ledger
from postlaw_consent.sign_ups import Sent, SignUp, SignUps
from postlaw_consent.tokens import Tokens
from postlaw_consent.use_cases.carried_out import IN_HAND_US
from postlaw_consent.use_cases.get_decisions import Decisions, GetDecisions
from postlaw_consent.use_cases.record_consents import Consent, RecordConsents
from postlaw_consent.use_cases.single_mail import CONFIRMING, Mail, decide_on
from postlaw_consent.use_cases.standing_no import StandingNo

# What a page can say to have been true of it, beside the act itself.
SHOWN = frozenset({"affirmative_act", "purpose", "requester_named", "withdrawal_info", "contact_shown", "separate"})


@dataclass(frozen=True, slots=True)
class Person:
    """Who is meant by an address. `address`: as mail is sent to it."""

    address_key: bytes
    address: str
    sealed_profile_evidence: bytes = b""


class People(Protocol):
    """Subscribers, in the name of a customer. Each raises PostlawError."""

    async def resolve(self, tenant_id: str, address: str, profile_evidence: bytes = b"") -> Person: ...
    async def join(self, tenant_id: str, address: str, list_id: str) -> str:
        """The language that the person chose for their pages; "" where they did not."""
        ...


class TakeSignUp:
    def __init__(self, forms: Forms, sign_ups: SignUps, begun: Callable[[SignUp], None], now_us: Callable[[], int]) -> None:
        """`begun` is told of each, to have it done at once."""
        self._forms = forms
        self._sign_ups = sign_ups
        self._begun = begun
        self._now_us = now_us

    async def __call__(self, form_id: str, sent: Sent) -> None:
        """Returns once it is durable. The same work whoever is meant. Raises NotFound for the form, Conflict of type
        `form-retired`, Invalid, StoreUnavailable."""
        form = await self._forms.get(form_id)
        if form is None:
            raise NotFound(f"There is no form {form_id}.")
        if form.retired_us:
            raise Conflict("Nobody can sign up on this form any more.", type="form-retired")
        if unknown := set(sent.held) - SHOWN:
            raise Invalid("That is not what a page can show.", fields=[FieldError("held", f"{min(unknown)} is not for a page to say")])
        now = self._now_us()
        sign_up = SignUp(new_id("sgn"), form_id, now, sent, due_us=now + IN_HAND_US)
        await self._sign_ups.begin(sign_up)
        self._begun(sign_up)


class CarryOutSignUp:
    """One sign-up, from its intent to its end. Every step may be done twice: each is known again by the sign-up's id."""

    def __init__(
        self,
        forms: Forms,
        people: People,
        ledger: Ledger,
        record: RecordConsents,
        decide: GetDecisions,
        standing_no: StandingNo,
        caps: ConfirmationCaps,
        confirmation_tokens: Tokens,
        opt_out_tokens: Tokens,
        send: Callable[[Mail], Awaitable[None]],
        public_url: str,
        now_us: Callable[[], int],
    ) -> None:
        self._forms = forms
        self._people = people
        self._ledger = ledger
        self._record = record
        self._decide = decide
        self._standing_no = standing_no
        self._caps = caps
        self._confirmation_tokens = confirmation_tokens
        self._opt_out_tokens = opt_out_tokens
        self._send = send
        self._public_url = public_url.rstrip("/")
        self._now_us = now_us

    async def __call__(self, sign_up: SignUp) -> None:
        """Raises Invalid where nothing will ever come of it (such as an address that is none); whatever else it raises, try again."""
        form = await self._forms.get(sign_up.form_id)
        if form is None:
            return
        person = await self._people.resolve(form.tenant_id, sign_up.sent.address)
        decisions, allowed = await decide_on(
            self._decide, self._ledger, CONFIRMING, form.tenant_id, form.belongs, person.address_key, sign_up.id
        )
        if await self._standing_no(form.tenant_id, form.belongs, person.address_key, confirming=form.double):
            return  # nothing that somebody else typed may reopen what this person closed, nor have them mailed
        if not form.double:
            await self._join(form, person, sign_up, "given")
            return
        if not await self._caps.take(person.address, form.tenant_id, sign_up.id, self._now_us()):
            return
        version, chosen = await self._join(form, person, sign_up, "requested")
        if allowed:
            await self._send(self._mail(form, person, sign_up, decisions, version, chosen))

    async def _join(self, form: Form, person: Person, sign_up: SignUp, kind: Kind) -> tuple[int, str]:
        """On the list, and in the ledger: (the version of the event, the language that the person chose before)."""
        chosen = await self._people.join(form.tenant_id, person.address, form.list_id)
        sealed = (await self._people.resolve(form.tenant_id, person.address, _evidence(form, sign_up.sent))).sealed_profile_evidence
        consent = Consent(
            address_key=person.address_key,
            scope=form.scope,
            route="page",
            given_at_us=sign_up.at_us,
            source=f"form {form.form_id}",
            notice_hash=form.digest,
            sealed_profile_evidence=sealed,
            idempotency_key=f"sign-up/{sign_up.id}",
            kind=kind,
            particulars=Particulars(
                held=sign_up.sent.held,
                territories=form.territories,
                language=form.language,
                method=sign_up.sent.method,
                purposes=form.purposes,
                lawful_basis="consent",
            ),
        )
        recorded = await self._record(form.tenant_id, _person(person), None, [consent])
        [event_id] = recorded.event_ids
        history = await self._ledger.history(form.tenant_id, person.address_key)
        return next(line.fact.version for line in reversed(history) if line.event().event_id == event_id), chosen

    def _mail(self, form: Form, person: Person, sign_up: SignUp, decisions: Decisions, version: int, chosen: str) -> Mail:
        confirmation = Confirmation(form.tenant_id, person.address_key, form.scope, form.form_id, version, self._now_us() + LIFE_US)
        [token] = self._confirmation_tokens.mint(form.tenant_id, form.scope, confirmation.about, [person.address_key])
        [stop] = self._opt_out_tokens.mint(form.tenant_id, form.scope, "", [person.address_key])
        return Mail(
            key=sign_up.id,
            tenant_id=form.tenant_id,
            template="confirm_sign_up",
            language=chosen or sign_up.sent.language or form.language,
            sender=form.sender,
            belongs=form.belongs,
            address_key=person.address_key,
            address=person.address,
            action_url=f"{self._public_url}/c/{token.decode('ascii')}",
            opt_out_token=stop,
            decisions=decisions,
            list_name=form.list_name,
        )


def _evidence(form: Form, sent: Sent) -> bytes:
    """What tells who the person is, sealed under their profile key: gone with it."""
    told = {"ip": "" if form.without_ip else sent.ip, "user_agent": sent.user_agent}
    return json.dumps({name: value for name, value in told.items() if value}).encode()


def _person(person: Person) -> Actor:
    return Actor("person", person.address_key.hex())
