"""Consent, wired by hand. `build` opens nothing."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from postlaw.consent.v1.consent_pb2_grpc import add_ConsentServiceServicer_to_server
from postlaw_common.bus import Topic
from postlaw_common.platform import Platform
from postlaw_common.reconciling import ReconcilingSettings
from postlaw_common.reconciling.assembly import assemble_reconciling
from postlaw_common.reconciling.runs import RECONCILIATIONS
from postlaw_common.reconciling.wire import RESULTS
from postlaw_common.service import Background, Service, Servicer
from postlaw_common.settings import load
from postlaw_consent.afterwards import Afterwards
from postlaw_consent.answers import ANSWERS_DUE, Answers
from postlaw_consent.clients import Audit, Identity, Sending, Subscribers
from postlaw_consent.consumers import LISTS, learning_names
from postlaw_consent.decisions_made import DECISIONS, DecisionsMade
from postlaw_consent.decisions_wire import encode_made
from postlaw_consent.ends import Ends
from postlaw_consent.expiries import EXPIRIES, Expiries
from postlaw_consent.export_calls import ExportCalls, encode_export
from postlaw_consent.form_assembly import COLLECTIONS as FORM_COLLECTIONS
from postlaw_consent.form_assembly import assemble_forms
from postlaw_consent.forms import FORMS_CHANGED
from postlaw_consent.intents import INTENTS, Intents
from postlaw_consent.laws import LAWS, Laws
from postlaw_consent.ledger import LEDGER, Ledger
from postlaw_consent.list_names import LIST_NAMES, ListNames
from postlaw_consent.notice_calls import NoticeCalls, encode_change
from postlaw_consent.notices import CHANGED, NOTICES, Notices
from postlaw_consent.outgoing import ANSWERS, EVENTS, Outgoing
from postlaw_consent.receipt_calls import ReceiptCalls
from postlaw_consent.receipt_keys import ReceiptKeys
from postlaw_consent.reconciling import LedgerChecks
from postlaw_consent.relay import Relay
from postlaw_consent.senders import Senders
from postlaw_consent.servicer import ConsentServicer
from postlaw_consent.standings import SNAPSHOTS, Standings
from postlaw_consent.suppress_calls import SuppressCalls
from postlaw_consent.suppression_exports import EXPORTED, EXPORTS, SuppressionExports
from postlaw_consent.tokens import Tokens
from postlaw_consent.use_cases.change_preferences import ChangePreferences
from postlaw_consent.use_cases.describe_preferences import DescribePreferences
from postlaw_consent.use_cases.expire_consents import CLOCK, ExpireConsents
from postlaw_consent.use_cases.explain_decision import ExplainDecision
from postlaw_consent.use_cases.export_suppressions import ExportSuppressions
from postlaw_consent.use_cases.get_decisions import GetDecisions
from postlaw_consent.use_cases.get_receipt import GetReceipt
from postlaw_consent.use_cases.lift_platform_stop import LiftPlatformStop
from postlaw_consent.use_cases.list_expiring import ListExpiring
from postlaw_consent.use_cases.notices import GetNotice, ListNotices, PutNotice
from postlaw_consent.use_cases.read_ledger import DescribeToken, ListConsentEvents
from postlaw_consent.use_cases.record_consents import RecordConsents
from postlaw_consent.use_cases.suppress_many import SuppressMany
from postlaw_consent.use_cases.withdraw_consent import WITHIN_S, WithdrawConsent
from postlaw_consent.views import MOST_PEOPLE, Views
from postlaw_consent.wire import decode, encode, encode_alike, encode_answer
from postlaw_law.loading import law_texts, the_law


class ConsentSettings(BaseSettings):
    """`POSTLAW_CONSENT_…`. `token_key_version` and `receipt_key_version` go up by one for a fresh key; never down. `answer_within_s`: when
    a withdrawal is answered "recorded" at the latest. `view_people`: bounds the memory of the first gate, some 300 bytes each.
    `confirmations_a_day`: confirmation mails to one address within 24 hours, over all customers; `confirmations_apart_s`: between two of
    one customer to it."""

    model_config = SettingsConfigDict(env_prefix="POSTLAW_CONSENT_")

    receipt_key_version: int = Field(default=1, ge=1, le=255, description="a number from 1 to 255, never lower than before")
    token_key_version: int = Field(default=1, ge=1, le=255, description="a number from 1 to 255, never lower than before")
    answer_within_s: float = Field(default=WITHIN_S, gt=0, le=60, description="seconds up to 60, less than the ten that callers wait")
    view_people: int = Field(default=MOST_PEOPLE, ge=0, description="how many people the first gate may hold in memory")
    confirmations_a_day: int = Field(default=5, ge=1, description="a number of mails, from 1")
    confirmations_apart_s: float = Field(default=300.0, ge=0, description="seconds")


def build(platform: Platform, settings: ConsentSettings) -> Service:
    store = platform.store("consent")
    ledger = Ledger(lambda: store.collection(LEDGER.name), encode, decode, platform.placement)
    intents = Intents(lambda: store.collection(INTENTS.name))
    outgoing = Outgoing(platform.bus)
    afterwards = Afterwards()
    notices = Notices(lambda: store.collection(NOTICES.name), platform.bus, encode_change, ledger.partition_of, afterwards, platform.now_us)
    answers = Answers(lambda: store.collection(ANSWERS_DUE.name), platform.bus, afterwards)
    ends = Ends(platform.bus)
    names = ListNames(lambda: store.collection(LIST_NAMES.name))
    tokens = Tokens(platform.platform_keys, version=settings.token_key_version)
    law = the_law()
    laws = Laws(lambda: store.collection(LAWS.name))
    identity, subscribers = Identity(platform.channel), Subscribers(platform.channel)
    senders = Senders(identity.sender)
    receipt_keys = ReceiptKeys(platform.platform_keys, platform.blobs, version=settings.receipt_key_version)
    standings = Standings(ledger, lambda: store.collection(SNAPSHOTS.name), afterwards)
    views = Views(ledger, standings, platform.bus, ends, most_people=settings.view_people)
    expiries = Expiries(lambda: store.collection(EXPIRIES.name))
    record = RecordConsents(ledger, intents, notices, expiries, outgoing, encode_alike, afterwards, platform.now_us)
    expire = ExpireConsents(
        ledger=ledger,
        expiries=expiries,
        clock=lambda: store.collection(CLOCK.name),
        outgoing=outgoing,
        generation=platform.generation,
        law=law,
        sender_of=senders.get,
        now_us=platform.now_us,
    )
    withdraw = WithdrawConsent(
        ledger=ledger,
        outgoing=outgoing,
        answers=answers,
        await_stopped=Sending(platform.channel).await_stopped,
        encode_answer=encode_answer,
        generation=platform.generation,
        afterwards=afterwards,
        now_us=platform.now_us,
        known=views.known,
        within_s=settings.answer_within_s,
    )
    exports = SuppressionExports(lambda: store.collection(EXPORTS.name), platform.bus, encode_export, ledger.partition_of, platform.now_us)
    describe_preferences = DescribePreferences(ledger, tokens, names, platform.now_us)
    decide = GetDecisions(
        ledger=ledger,
        standings=standings,
        ends=ends,
        views=views,
        tokens=tokens,
        law=law,
        sender_of=senders.get,
        made=DecisionsMade(platform.bus, encode_made),
        placement=platform.placement,
        generation=platform.generation,
        now_us=platform.now_us,
    )
    explain = ExplainDecision(ledger, law, senders.get, platform.now_us)
    forms = assemble_forms(
        platform,
        ledger,
        notices,
        record,
        decide,
        explain,
        tokens,
        afterwards,
        mails_a_day=settings.confirmations_a_day,
        mails_apart_s=settings.confirmations_apart_s,
    )
    servicer = ConsentServicer(
        record_consents=record,
        withdraw_consent=withdraw,
        get_decisions=decide,
        explain_decision=explain,
        describe_token=DescribeToken(ledger, tokens, names),
        describe_preferences=describe_preferences,
        change_preferences=ChangePreferences(tokens, describe_preferences, withdraw, record, platform.now_us),
        list_events=ListConsentEvents(ledger),
        list_expiring=ListExpiring(expiries, platform.now_us),
        notices=NoticeCalls(PutNotice(notices, platform.now_us), GetNotice(notices), ListNotices(notices)),
        receipts=ReceiptCalls(
            GetReceipt(ledger, notices, names, receipt_keys, identity.controller, Audit(platform.channel).proof), receipt_keys, subscribers
        ),
        suppressions=SuppressCalls(
            SuppressMany(ledger, intents, outgoing, afterwards, platform.now_us), withdraw, LiftPlatformStop(ledger, record)
        ),
        forms=forms.calls,
        profiles=forms.profiles,
        exports=ExportCalls(ExportSuppressions(exports, ledger, subscribers.addresses, afterwards, platform.now_us), platform.now_us),
        tokens=tokens,
        subscribers=subscribers,
        public_url=platform.public_url,
    )

    reconciling = load(ReconcilingSettings)
    checks = LedgerChecks(
        lambda: store.collection(LEDGER.name),
        lambda: store.collection(SNAPSHOTS.name),
        platform.bus,
        decode,
        platform.generation,
        reconciling.before_us(platform.now_us),
    )
    reconciled = assemble_reconciling(platform, "consent", "consent", checks.all(), reconciling)

    async def on_start() -> None:
        await laws.keep(law, law_texts())
        await tokens.start()
        await receipt_keys.start()
        await forms.start()
        await ends.start()

    async def on_stop() -> None:
        await afterwards.drain()
        await ends.close()

    return Service(
        name="consent",
        databases={
            "consent": (
                LEDGER,
                INTENTS,
                NOTICES,
                ANSWERS_DUE,
                LIST_NAMES,
                LAWS,
                SNAPSHOTS,
                EXPIRIES,
                CLOCK,
                EXPORTS,
                RECONCILIATIONS,
                *FORM_COLLECTIONS,
            )
        },
        topics=(EVENTS, ANSWERS, DECISIONS, EXPORTED, CHANGED, FORMS_CHANGED, RESULTS, Topic(LISTS)),
        servicers=(Servicer("postlaw.consent.v1.ConsentService", add_ConsentServiceServicer_to_server, servicer), reconciled.servicer),
        consumers=(learning_names(names),),
        backgrounds=(
            Background("relay", Relay(ledger, intents, outgoing, platform.generation, platform.now_us).run),
            Background("answers", answers.run),
            Background("expiries", expire.run),
            exports.outbox.background(),
            notices.outbox.background("notices"),
            Background("receipt keys", receipt_keys.publish),
            *forms.backgrounds,
            reconciled.background,
        ),
        on_start=on_start,
        on_stop=on_stop,
    )
