"""Forms and sign-ups, wired by hand. Nothing is opened here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from postlaw_common.keys.platform import CONFIRMATION_TOKENS
from postlaw_common.platform import Platform
from postlaw_common.service import Background
from postlaw_consent.afterwards import Afterwards
from postlaw_consent.confirmation_caps import CONFIRMATION_CAPS, ConfirmationCaps
from postlaw_consent.form_calls import FormCalls
from postlaw_consent.form_clients import FormClients
from postlaw_consent.forms import FORMS, Forms
from postlaw_consent.ledger import Ledger
from postlaw_consent.notices import Notices
from postlaw_consent.sign_ups import SIGN_UPS, SignUp, SignUps
from postlaw_consent.tokens import Tokens
from postlaw_consent.use_cases.confirm_sign_up import ConfirmSignUp
from postlaw_consent.use_cases.forms import CreateForm, GetForm, ListForms, RetireForm
from postlaw_consent.use_cases.get_decisions import GetDecisions
from postlaw_consent.use_cases.record_consents import RecordConsents
from postlaw_consent.use_cases.sign_up import CarryOutSignUp, SignUpsDone, TakeSignUp

COLLECTIONS = (FORMS, SIGN_UPS, CONFIRMATION_CAPS)


@dataclass(frozen=True, slots=True)
class FormParts:
    """`start` once before use."""

    calls: FormCalls
    done: SignUpsDone
    background: Background
    start: Callable[[], Awaitable[None]]


def assemble_forms(
    platform: Platform,
    ledger: Ledger,
    notices: Notices,
    record: RecordConsents,
    decide: GetDecisions,
    opt_out_tokens: Tokens,
    afterwards: Afterwards,
    *,
    mails_a_day: int,
    mails_apart_s: float,
) -> FormParts:
    store = platform.store("consent")
    forms = Forms(lambda: store.collection(FORMS.name))
    sign_ups = SignUps(lambda: store.collection(SIGN_UPS.name), platform.platform_keys.get)
    caps = ConfirmationCaps(
        lambda: store.collection(CONFIRMATION_CAPS.name), platform.platform_keys.get, a_day=mails_a_day, apart_us=int(mails_apart_s * 1e6)
    )
    tokens = Tokens(platform.platform_keys, version=1, name=CONFIRMATION_TOKENS, what="confirmation link")
    clients = FormClients(platform.channel, platform.now_us)
    carry_out = CarryOutSignUp(
        forms=forms,
        people=clients,
        ledger=ledger,
        record=record,
        decide=decide,
        caps=caps,
        confirmation_tokens=tokens,
        opt_out_tokens=opt_out_tokens,
        send=clients.send,
        public_url=platform.public_url,
        now_us=platform.now_us,
    )
    done = SignUpsDone(sign_ups, carry_out, caps, platform.now_us)

    def begin(sign_up: SignUp) -> None:
        afterwards.begin(done.one(sign_up), what="a sign-up")

    calls = FormCalls(
        create=CreateForm(forms, notices, clients.list_named, platform.now_us),
        get=GetForm(forms),
        list=ListForms(forms),
        retire=RetireForm(forms, platform.now_us),
        sign_up=TakeSignUp(forms, sign_ups, begin, platform.now_us),
        confirm=ConfirmSignUp(tokens, forms, ledger, record, platform.now_us),
        public_url=platform.public_url,
    )
    return FormParts(calls, done, Background("sign-ups", done.run), tokens.start)
