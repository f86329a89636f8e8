"""gRPC to use case: who calls, who is meant, and nothing else.

Longer than most: one class answers for the whole of ConsentService, a few lines a method, as gRPC has it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from postlaw.consent.v1 import consent_pb2 as pb
from postlaw_common.caller import current
from postlaw_common.errors import FieldError, Invalid
from postlaw_consent.clients import Subscribers
from postlaw_consent.committing import Request
from postlaw_consent.decisions_wire import asked_from_wire, decisions_to_wire, expiring_to_wire, explained_to_wire
from postlaw_consent.domain.event import ADDRESS_KEY_BYTES, CLOSING, Actor, Kind, Route, scope_of_act
from postlaw_consent.domain.notice import digest_of
from postlaw_consent.domain.particulars import Particulars
from postlaw_consent.domain.scope import EVERYTHING, Scope
from postlaw_consent.export_calls import ExportCalls
from postlaw_consent.form_calls import FormCalls
from postlaw_consent.notice_calls import NoticeCalls, check_hash
from postlaw_consent.preferences_wire import change_from_wire, changed_to_wire, preferences_to_wire
from postlaw_consent.profile_calls import ProfileCalls
from postlaw_consent.receipt_calls import ReceiptCalls
from postlaw_consent.suppress_calls import SuppressCalls
from postlaw_consent.tokens import Tokens
from postlaw_consent.use_cases.change_preferences import ChangePreferences
from postlaw_consent.use_cases.describe_preferences import DescribePreferences
from postlaw_consent.use_cases.explain_decision import ExplainDecision
from postlaw_consent.use_cases.get_decisions import GetDecisions
from postlaw_consent.use_cases.list_expiring import ListExpiring
from postlaw_consent.use_cases.read_ledger import DescribeToken, ListConsentEvents
from postlaw_consent.use_cases.record_consents import Consent, RecordConsents, Recorded
from postlaw_consent.use_cases.withdraw_consent import WithdrawConsent
from postlaw_consent.wire import (
    belongs_from_wire,
    event_to_wire,
    kind_from_wire,
    microseconds,
    particulars_from_wire,
    receipt_to_wire,
    route_from_wire,
    scope_from_wire,
    scope_to_wire,
)

_TOGETHER = 50  # people resolved at a time
_LONGEST_KEY = 200
_GIVEN_BY: frozenset[Route] = frozenset({"api", "import", "page"})
_STOPPED_BY: frozenset[Route] = frozenset({*_GIVEN_BY, "mail"})
_BY_LINK: frozenset[Route] = frozenset({"one_click", "page", "mail"})


class ConsentServicer:
    def __init__(
        self,
        record_consents: RecordConsents,
        withdraw_consent: WithdrawConsent,
        get_decisions: GetDecisions,
        explain_decision: ExplainDecision,
        describe_token: DescribeToken,
        describe_preferences: DescribePreferences,
        change_preferences: ChangePreferences,
        list_events: ListConsentEvents,
        list_expiring: ListExpiring,
        notices: NoticeCalls,
        receipts: ReceiptCalls,
        suppressions: SuppressCalls,
        forms: FormCalls,
        profiles: ProfileCalls,
        exports: ExportCalls,
        tokens: Tokens,
        subscribers: Subscribers,
        public_url: str,
    ) -> None:
        self._record_consents = record_consents
        self._withdraw_consent = withdraw_consent
        self._get_decisions = get_decisions
        self._explain_decision = explain_decision
        self._describe_token = describe_token
        self._describe_preferences = describe_preferences
        self._change_preferences = change_preferences
        self._list_events = list_events
        self._list_expiring = list_expiring
        self.PutNotice, self.GetNotice, self.ListNotices = notices.PutNotice, notices.GetNotice, notices.ListNotices
        self.GetReceipt, self.ListReceiptKeys = receipts.GetReceipt, receipts.ListReceiptKeys
        self.SuppressMany = suppressions.SuppressMany
        self.StopForPlatform, self.LiftForPlatform = suppressions.StopForPlatform, suppressions.LiftForPlatform
        self.CreateForm, self.GetForm, self.ListForms, self.RetireForm, self.DescribeForm = (
            forms.CreateForm,
            forms.GetForm,
            forms.ListForms,
            forms.RetireForm,
            forms.DescribeForm,
        )
        self.SignUp, self.DescribeConfirmation, self.ConfirmSignUp = forms.SignUp, forms.DescribeConfirmation, forms.ConfirmSignUp
        self.RequestProfileLink, self.DescribeProfileLink, self.UseProfileLink, self.KeepLanguage = (
            profiles.RequestProfileLink,
            profiles.DescribeProfileLink,
            profiles.UseProfileLink,
            profiles.KeepLanguage,
        )
        self.RequestSuppressionExport, self.GetSuppressionExport = exports.RequestSuppressionExport, exports.GetSuppressionExport
        self.ApproveSuppressionExport, self.TakeSuppressionExport = exports.ApproveSuppressionExport, exports.TakeSuppressionExport
        self._tokens = tokens
        self._subscribers = subscribers
        self._public_url = public_url.rstrip("/")

    async def RecordConsents(self, request: pb.RecordConsentsRequest, context: Any) -> pb.RecordConsentsResponse:
        caller = current()
        keys = await self._people(request.consents)
        recorded = await self._record_consents(caller.tenant_id, *_actors(), _consents(request.consents, keys))
        return pb.RecordConsentsResponse(
            event_ids=recorded.event_ids,
            recorded=recorded.recorded,
            already_recorded=recorded.already_recorded,
            remarks=_remarks(recorded),
        )

    async def RecordConsentOfMany(self, request: pb.RecordConsentOfManyRequest, context: Any) -> pb.RecordConsentOfManyResponse:
        address_keys = list(map(_address_key, request.address_keys))
        evidence = request.sealed_proof_evidence or [b""] * len(address_keys)
        by_person = dict(zip(address_keys, evidence, strict=False))
        if not len(by_person) == len(address_keys) == len(evidence):
            raise Invalid(
                "Name each person once, with one piece of evidence or none at all.",
                fields=[FieldError("address_keys", "are not one to one")],
            )
        variants = list(map(particulars_from_wire, request.variants))
        if request.variant_of and (len(request.variant_of) != len(address_keys) or max(request.variant_of) > len(variants)):
            raise Invalid(
                "Name a variant for each person, or for none.", fields=[FieldError("variant_of", "names no variant, or not of all")]
            )
        if request.given_at_us and len(request.given_at_us) != len(address_keys):
            raise Invalid("Name a time for each person, or for none.", fields=[FieldError("given_at_us", "are not one to one")])
        consent = _consent(request.consent, b"", {})
        recorded = await self._record_consents.of_many(
            current().tenant_id, *_actors(), consent, by_person, variants, request.variant_of, request.given_at_us
        )
        return pb.RecordConsentOfManyResponse(
            recorded=recorded.recorded, already_recorded=recorded.already_recorded, remarks=_remarks(recorded)
        )

    async def WithdrawConsent(self, request: pb.WithdrawConsentRequest, context: Any) -> pb.Withdrawal:
        kind, particulars = _closing(request)
        scope = scope_of_act(kind, scope_from_wire(request.scope))
        route = _allowed(route_from_wire(request.route, "api"), _STOPPED_BY)
        address_key = await self._person(request)
        actor, on_behalf_of = _actors()
        receipt = await self._withdraw_consent(
            Request(
                tenant_id=current().tenant_id,
                address_key=address_key,
                scope=scope,
                route=route,
                actor=actor,
                on_behalf_of=on_behalf_of,
                idempotency_key=_key(request.idempotency_key),
                kind=kind,
                particulars=particulars,
            )
        )
        return receipt_to_wire(receipt)

    async def WithdrawByToken(self, request: pb.WithdrawByTokenRequest, context: Any) -> pb.Withdrawal:
        optout = await self._tokens.open(request.token)
        route = _allowed(route_from_wire(request.route, "one_click"), _BY_LINK)
        receipt = await self._withdraw_consent(
            Request(
                tenant_id=optout.tenant_id,
                address_key=optout.address_key,
                scope=EVERYTHING if request.everything else optout.scope,
                route=route,
                actor=Actor("person", optout.address_key.hex()),
                campaign_id=optout.campaign_id,
            )
        )
        return receipt_to_wire(receipt)

    async def DescribeToken(self, request: pb.DescribeTokenRequest, context: Any) -> pb.TokenDescription:
        described = await self._describe_token(request.token)
        return pb.TokenDescription(
            tenant_id=described.optout.tenant_id,
            scope=scope_to_wire(described.optout.scope),
            already_withdrawn=described.already_withdrawn,
            list_name=described.list_name,
            address_key=described.optout.address_key,
            campaign_id=described.optout.campaign_id,
        )

    async def DescribePreferences(self, request: pb.DescribePreferencesRequest, context: Any) -> pb.Preferences:
        return preferences_to_wire(*await self._describe_preferences(request.token))

    async def ChangePreferences(self, request: pb.ChangePreferencesRequest, context: Any) -> pb.PreferencesChanged:
        return changed_to_wire(await self._change_preferences(request.token, change_from_wire(request)))

    async def CreateOptOutLink(self, request: pb.CreateOptOutLinkRequest, context: Any) -> pb.OptOutLink:
        address_key = await self._person(request)
        [token] = self._tokens.mint(current().tenant_id, scope_from_wire(request.scope), "", [address_key])
        return pb.OptOutLink(url=f"{self._public_url}/u/{token.decode('ascii')}")

    async def GetDecisions(self, request: pb.GetDecisionsRequest, context: Any) -> pb.GetDecisionsResponse:
        decisions = await self._get_decisions(
            current().tenant_id,
            belongs_from_wire(request.scope, request.brand),
            asked_from_wire(request.message),
            request.partition,
            request.address_keys,
            bulk=request.bulk,
            mint=request.opt_out_tokens,
            campaign_id=request.campaign_id,
        )
        return decisions_to_wire(decisions)

    async def ExplainDecision(self, request: pb.ExplainDecisionRequest, context: Any) -> pb.ExplainedDecision:
        belongs, asked = belongs_from_wire(request.scope, request.brand), asked_from_wire(request.message)
        explained = await self._explain_decision(current().tenant_id, belongs, asked, await self._person(request))
        return explained_to_wire(explained)

    async def ListExpiring(self, request: pb.ListExpiringRequest, context: Any) -> pb.ListExpiringResponse:
        found = await self._list_expiring(current().tenant_id, request.within_days, size=request.page_size, after=request.page_token)
        return expiring_to_wire(found)

    async def ListConsentEvents(self, request: pb.ListConsentEventsRequest, context: Any) -> pb.ListConsentEventsResponse:
        caller = current()
        address_key = await self._person(request)
        events, following = await self._list_events(caller.tenant_id, address_key, size=request.page_size, after=request.page_token)
        return pb.ListConsentEventsResponse(events=[event_to_wire(event) for event in events], next_page_token=following)

    async def _person(
        self, request: pb.WithdrawConsentRequest | pb.ListConsentEventsRequest | pb.CreateOptOutLinkRequest | pb.ExplainDecisionRequest
    ) -> bytes:
        if not isinstance(request, pb.CreateOptOutLinkRequest | pb.ExplainDecisionRequest) and request.address_key:
            return _address_key(request.address_key)
        if request.subscriber_id:
            return await self._subscribers.by_subscriber(request.subscriber_id)
        if not isinstance(request, pb.ListConsentEventsRequest) and request.address:
            return await self._subscribers.by_address(request.address)
        raise Invalid("Say who is meant.", fields=[FieldError("who", "name an address_key, an address or a subscriber_id")])

    async def _people(self, records: Sequence[pb.ConsentRecord]) -> list[bytes]:
        """The address_keys, asked of subscribers only where a record names its person otherwise."""
        keys = [record.address_key for record in records]
        missing = [place for place, key in enumerate(keys) if not key]
        for begin in range(0, len(missing), _TOGETHER):
            some = missing[begin : begin + _TOGETHER]
            for place, key in zip(some, await asyncio.gather(*(self._resolved(records[place], place) for place in some)), strict=True):
                keys[place] = key
        return keys

    async def _resolved(self, record: pb.ConsentRecord, place: int) -> bytes:
        if record.subscriber_id:
            return await self._subscribers.by_subscriber(record.subscriber_id)
        if record.address:
            return await self._subscribers.by_address(record.address, opening=True)
        raise Invalid("Say who is meant.", fields=[FieldError(f"consents[{place}]", "name an address_key, an address or a subscriber_id")])


def _consents(records: Sequence[pb.ConsentRecord], address_keys: Sequence[bytes]) -> list[Consent]:
    """Raises Invalid, which names the first wrong record's place and field."""
    scopes: dict[bytes, Scope] = {}
    consents: list[Consent] = []
    for record, address_key in zip(records, address_keys, strict=True):
        try:
            consents.append(_consent(record, _address_key(address_key), scopes))
        except Invalid as wrong:
            fields = [FieldError(f"consents[{len(consents)}].{one.field}", one.message) for one in wrong.fields]
            raise Invalid(wrong.detail, fields=fields) from None
    return consents


def _closing(request: pb.WithdrawConsentRequest) -> tuple[Kind, Particulars]:
    kind, particulars = kind_from_wire(request.kind, "withdrawn"), particulars_from_wire(request.particulars)
    wrong = [FieldError(f"particulars.{field}", message) for field, message in particulars.problems(kind)]
    if kind not in CLOSING:
        wrong.append(FieldError("kind", "does not stop mail: record it"))
    if kind == "invalidated" and request.scope.HasField("brand") and not particulars.refers_to:
        problem = "the ledger does not say which lists are the brand's: name one, or the consent in particulars.refers_to"
        wrong.append(FieldError("scope", problem))
    if wrong:
        raise Invalid("That cannot be taken as it is.", fields=wrong)
    return kind, particulars


def _consent(record: pb.ConsentRecord, address_key: bytes, scopes: dict[bytes, Scope]) -> Consent:
    kind = kind_from_wire(record.kind, "given")
    raw = record.scope.SerializeToString()
    scope = scopes.get(raw)
    if scope is None:  # a bulk is about one list, seldom about more
        scope = scopes[raw] = scope_from_wire(record.scope)
    scope = scope_of_act(kind, scope)
    wording, notice_hash = record.wording, record.notice_hash
    if wording:
        digest = digest_of(wording)
        if notice_hash and notice_hash != digest:
            raise Invalid("The wording is not the one that the hash names.", fields=[FieldError("notice_hash", "is not its SHA-256")])
        notice_hash = digest
    elif notice_hash:
        check_hash(notice_hash)
    return Consent(
        address_key=address_key,
        scope=scope,
        route=_allowed(route_from_wire(record.route, "api"), _GIVEN_BY),
        given_at_us=microseconds(record.given_at) if record.HasField("given_at") else None,
        source=record.source,
        wording=wording,
        notice_hash=notice_hash,
        sealed_profile_evidence=record.sealed_profile_evidence,
        sealed_proof_evidence=record.sealed_proof_evidence,
        sealed_attestation=record.sealed_attestation,
        idempotency_key=_key(record.idempotency_key),
        kind=kind,
        particulars=particulars_from_wire(record.particulars),
    )


def _remarks(recorded: Recorded) -> list[pb.Remark]:
    return [pb.Remark(field=field, message=message) for field, message in recorded.remarks]


def _actors() -> tuple[Actor, Actor | None]:
    caller = current()
    behalf = caller.on_behalf_of
    return Actor(caller.actor.kind, caller.actor.id), Actor(behalf.kind, behalf.id) if behalf else None


def _address_key(key: bytes) -> bytes:
    if len(key) != ADDRESS_KEY_BYTES:
        raise Invalid("That is no address key.", fields=[FieldError("address_key", f"must have {ADDRESS_KEY_BYTES} bytes")])
    return key


def _allowed(route: Route, routes: frozenset[Route]) -> Route:
    if route not in routes:
        raise Invalid("That route does not lead here.", fields=[FieldError("route", "must be one of " + ", ".join(sorted(routes)))])
    return route


def _key(key: str) -> str:
    if len(key) > _LONGEST_KEY:
        raise Invalid(
            "That idempotency key is too long.", fields=[FieldError("idempotency_key", f"must have {_LONGEST_KEY} characters at most")]
        )
    return key
