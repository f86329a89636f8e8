"""The person of a confirmation mail's link says yes, once. Looking at the link changes nothing: mail scanners open every one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from postlaw_common.errors import Invalid
from postlaw_consent.domain.confirmation import Confirmation, State, confirmation_of, state_of
from postlaw_consent.domain.event import Actor
from postlaw_consent.domain.form import Form
from postlaw_consent.domain.particulars import Particulars
from postlaw_consent.forms import Forms
from postlaw_consent.ledger import Ledger, Line
from postlaw_consent.tokens import Tokens
from postlaw_consent.use_cases.record_consents import Consent, RecordConsents
from postlaw_consent.use_cases.record_reached import RecordReached

METHOD = "confirmation link"
# True of the page: a button of its own, pressed, under the form's words, which say who asks, and how to take it back.
_HELD = ("affirmative_act", "separate", "requester_named", "withdrawal_info")


@dataclass(frozen=True, slots=True)
class Confirmed:
    """Where it stands now. `already`: it was confirmed before this."""

    state: State
    form: Form
    address_key: bytes
    already: bool = False


class ConfirmSignUp:
    def __init__(
        self, tokens: Tokens, forms: Forms, ledger: Ledger, record: RecordConsents, reached: RecordReached, now_us: Callable[[], int]
    ) -> None:
        self._tokens = tokens
        self._forms = forms
        self._ledger = ledger
        self._record = record
        self._reached = reached
        self._now_us = now_us

    async def describe(self, token: str) -> Confirmed:
        """Raises Invalid of type `bad-token`."""
        confirmation, form, history = await self._look(token)
        state = self._state(confirmation, form, history)
        return Confirmed(state, form, confirmation.address_key, already=state == "confirmed")

    async def __call__(self, token: str, *, contact_shown: bool) -> Confirmed:
        """Records `confirmed` where it is open; whatever is sent again finds it so. Raises Invalid of type `bad-token`."""
        await self._ledger.fence()
        confirmation, form, history = await self._look(token)
        state = self._state(confirmation, form, history)
        if state != "open":
            return Confirmed(state, form, confirmation.address_key, already=state == "confirmed")
        request = next(line for line in history if line.fact.version == confirmation.version)
        held = [*_HELD, *(["purpose"] if form.purposes else []), *(["contact_shown"] if contact_shown else [])]
        consent = Consent(
            address_key=confirmation.address_key,
            scope=confirmation.scope,
            route="page",
            source=f"form {form.form_id}",
            notice_hash=form.digest,
            idempotency_key=f"confirm/{request.event().event_id}",
            kind="confirmed",
            particulars=Particulars(
                held=tuple(held),
                territories=form.territories,
                language=form.language,
                method=METHOD,
                purposes=form.purposes,
                lawful_basis="consent",
                refers_to=request.event().event_id,
            ),
        )
        actor = Actor("person", confirmation.address_key.hex())
        await self._reached(confirmation.tenant_id, confirmation.address_key, request.event().event_id, METHOD)
        recorded = await self._record(confirmation.tenant_id, actor, None, [consent])
        return Confirmed("confirmed", form, confirmation.address_key, already=recorded.already_recorded > 0)

    async def _look(self, token: str) -> tuple[Confirmation, Form, list[Line]]:
        try:
            confirmation = confirmation_of(await self._tokens.open(token))
        except ValueError:
            raise _bad() from None
        form = await self._forms.get(confirmation.form_id)
        if form is None or form.tenant_id != confirmation.tenant_id:
            raise _bad()
        return confirmation, form, await self._ledger.history(confirmation.tenant_id, confirmation.address_key)

    def _state(self, confirmation: Confirmation, form: Form, history: list[Line]) -> State:
        state = state_of(confirmation, form.belongs, [line.fact for line in history], self._now_us())
        if state is None:
            raise _bad()
        return state


def _bad() -> Invalid:
    return Invalid("This confirmation link is damaged or not one of ours.", type="bad-token")
