"""Forms, sign-ups, and links to people's details, wired by hand: what is mailed by single messages. Nothing is opened here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from postlaw_common.keys.platform import CONFIRMATION_TOKENS
from postlaw_common.keys.platform import PROFILE_LINKS as PROFILE_LINK_TOKENS
from postlaw_common.outbox import Outbox
from postlaw_common.platform import Platform
from postlaw_common.service import Background
from postlaw_common.service_context import ServiceContexts
from postlaw_common.store import Collection
from postlaw_consent.afterwards import Afterwards
from postlaw_consent.clients import Identity
from postlaw_consent.confirmation_caps import CONFIRMATION_CAPS, ConfirmationCaps
from postlaw_consent.domain.form import Form
from postlaw_consent.domain.profile_link import ProfileLink
from postlaw_consent.form_calls import FormCalls
from postlaw_consent.form_clients import FormClients
from postlaw_consent.form_wire import form_changed
from postlaw_consent.forms import FORMS, Forms
from postlaw_consent.ledger import Ledger
from postlaw_consent.notices import Notices
from postlaw_consent.profile_calls import ProfileCalls
from postlaw_consent.profile_clients import ProfileClients
from postlaw_consent.profile_links import PROFILE_LINKS, ProfileLinks
from postlaw_consent.sign_ups import SIGN_UPS, SignUp, SignUps
from postlaw_consent.single_clients import SingleClient
from postlaw_consent.tokens import Tokens
from postlaw_consent.use_cases.carried_out import CarriedOut
from postlaw_consent.use_cases.confirm_sign_up import ConfirmSignUp
from postlaw_consent.use_cases.explain_decision import ExplainDecision
from postlaw_consent.use_cases.forms import CreateForm, GetForm, ListForms, RetireForm
from postlaw_consent.use_cases.get_decisions import GetDecisions
from postlaw_consent.use_cases.keep_language import KeepLanguage
from postlaw_consent.use_cases.profile_links import UseProfileLink
from postlaw_consent.use_cases.record_consents import RecordConsents
from postlaw_consent.use_cases.record_reached import RecordReached
from postlaw_consent.use_cases.request_profile_link import MailProfileLink, RequestProfileLink
from postlaw_consent.use_cases.sign_up import CarryOutSignUp, TakeSignUp
from postlaw_consent.use_cases.standing_no import StandingNo

COLLECTIONS = (FORMS, SIGN_UPS, CONFIRMATION_CAPS, PROFILE_LINKS)


@dataclass(frozen=True, slots=True)
class FormParts:
    """`start` once before use."""

    calls: FormCalls
    profiles: ProfileCalls
    backgrounds: tuple[Background, ...]
    start: Callable[[], Awaitable[None]]


def assemble_forms(
    platform: Platform,
    ledger: Ledger,
    notices: Notices,
    record: RecordConsents,
    decide: GetDecisions,
    explain: ExplainDecision,
    opt_out_tokens: Tokens,
    afterwards: Afterwards,
    *,
    mails_a_day: int,
    mails_apart_s: float,
) -> FormParts:
    store = platform.store("consent")

    def kept_forms() -> Collection:
        return store.collection(FORMS.name)

    def encode(before: Form | None, after: Form, version: int) -> bytes:
        return form_changed(before, after, version, platform.public_url.rstrip("/"))

    outbox = Outbox(platform.bus, lambda: [kept_forms()])
    forms = Forms(kept_forms, outbox, encode, lambda: platform.bus.partitions)
    sign_ups = SignUps(lambda: store.collection(SIGN_UPS.name), platform.platform_keys.get)
    caps = ConfirmationCaps(
        lambda: store.collection(CONFIRMATION_CAPS.name), platform.platform_keys.get, a_day=mails_a_day, apart_us=int(mails_apart_s * 1e6)
    )
    tokens = Tokens(platform.platform_keys, version=1, name=CONFIRMATION_TOKENS, what="confirmation link")
    contexts = ServiceContexts(platform.channel("identity"), "consent", now_us=platform.now_us)
    clients = FormClients(platform.channel, contexts)
    single = SingleClient(platform.channel, contexts)
    standing_no = StandingNo(ledger, explain)
    carry_out = CarryOutSignUp(
        forms=forms,
        people=clients,
        ledger=ledger,
        record=record,
        decide=decide,
        standing_no=standing_no,
        caps=caps,
        confirmation_tokens=tokens,
        opt_out_tokens=opt_out_tokens,
        send=single.send,
        public_url=platform.public_url,
        now_us=platform.now_us,
    )
    done = CarriedOut("a sign-up", sign_ups, carry_out, caps.forget, platform.now_us)
    links = ProfileLinks(lambda: store.collection(PROFILE_LINKS.name), platform.platform_keys.get)
    link_tokens = Tokens(platform.platform_keys, version=1, name=PROFILE_LINK_TOKENS, what="link to your details")
    profiles = ProfileClients(platform.channel, contexts, clients, Identity(platform.channel))
    reached = RecordReached(ledger, record)
    mail_link = MailProfileLink(
        profiles=profiles,
        ledger=ledger,
        decide=decide,
        standing_no=standing_no,
        caps=caps,
        link_tokens=link_tokens,
        opt_out_tokens=opt_out_tokens,
        send=single.send,
        public_url=platform.public_url,
        now_us=platform.now_us,
    )
    mailed = CarriedOut("a link to somebody's details", links, mail_link, links.forget, platform.now_us)

    def begin(sign_up: SignUp) -> None:
        afterwards.begin(done.one(sign_up), what="a sign-up")

    def begin_link(link: ProfileLink) -> None:
        afterwards.begin(mailed.one(link), what="a link to somebody's details")

    async def start() -> None:
        await tokens.start()
        await link_tokens.start()

    calls = FormCalls(
        create=CreateForm(forms, notices, clients.list_named, platform.now_us),
        get=GetForm(forms),
        list=ListForms(forms),
        retire=RetireForm(forms, platform.now_us),
        sign_up=TakeSignUp(forms, sign_ups, begin, platform.now_us),
        confirm=ConfirmSignUp(tokens, forms, ledger, record, reached, platform.now_us),
        public_url=platform.public_url,
    )
    profile_calls = ProfileCalls(
        RequestProfileLink(opt_out_tokens, links, begin_link, platform.now_us),
        UseProfileLink(link_tokens, opt_out_tokens, links, profiles, reached, begin_link, platform.now_us),
        KeepLanguage(opt_out_tokens, profiles),
    )
    backgrounds = (Background("sign-ups", done.run), Background("links to people's details", mailed.run), outbox.background("forms outbox"))
    return FormParts(calls, profile_calls, backgrounds, start)
