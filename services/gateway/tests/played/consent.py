"""Consent, as the gateway calls it: it knows a few tokens, answers as a test says, and keeps what it was asked."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import Any

from postlaw.consent.v1 import consent_pb2
from postlaw_common import caller
from postlaw_common.errors import Invalid, NotFound, Unavailable
from services.gateway.tests.played.identity import TENANT

FORM_ID = "frm_01m8b7khwte0h8fj6kpey0vyxp"


class FakeConsent:
    def __init__(self) -> None:
        self.exports_taken = 0
        self.tokens = {"good": TENANT, "stopped-before": TENANT}
        self.outcome = consent_pb2.OUTCOME_STOPPED
        self.relay_may_hold = 0
        self.withdrawn: list[consent_pb2.WithdrawByTokenRequest] = []
        self.described = 0
        self.list_name = ""
        self.recorded: list[consent_pb2.RecordConsentsRequest] = []
        self.stopped: list[consent_pb2.WithdrawConsentRequest] = []
        self.explained: list[consent_pb2.ExplainDecisionRequest] = []
        self.away = False
        self.had_context: list[bool] = []
        self.notices: dict[bytes, consent_pb2.Notice] = {}
        self.preferences = consent_pb2.Preferences(tenant_id=TENANT, address_key=b"\1" * 33)
        self.changes: list[consent_pb2.ChangePreferencesRequest] = []
        sender = consent_pb2.FormSender(name="Acme", address="news@acme.example", postal_address="1 High Street")
        self.form = consent_pb2.Form(
            form_id=FORM_ID,
            tenant_id=TENANT,
            list_name="Weekly",
            language="en",
            wording="Yes, send it.",
            purposes=["Weekly news"],
            sender=sender,
        )
        self.signed_up: list[consent_pb2.SignUpRequest] = []
        self.confirmation = consent_pb2.Confirmation(form=self.form, state=consent_pb2.Confirmation.STATE_OPEN, address_key=b"\1" * 33)
        self.confirmed: list[consent_pb2.ConfirmSignUpRequest] = []

        self.links_asked: list[consent_pb2.RequestProfileLinkRequest] = []
        self.languages_kept: list[consent_pb2.KeepLanguageRequest] = []
        self.keeps_languages = True
        self.profile_link = consent_pb2.ProfileLink(
            kind=consent_pb2.ProfileLink.KIND_DETAILS,
            state=consent_pb2.ProfileLink.STATE_OPEN,
            tenant_id=TENANT,
            address_key=b"\1" * 33,
            address="jane@example.com",
            details=[consent_pb2.Detail(name="first_name", value="Jane"), consent_pb2.Detail(name="Ort & <mehr>", value='"Graz"')],
            version=3,
        )
        self.link_used: list[consent_pb2.UseProfileLinkRequest] = []
        self.becomes: consent_pb2.ProfileLink | None = None

    async def KeepLanguage(self, request: Any, context: Any) -> consent_pb2.LanguageKept:
        self._check(request.token)
        self.languages_kept.append(request)
        return consent_pb2.LanguageKept(kept=self.keeps_languages)

    async def RequestProfileLink(self, request: Any, context: Any) -> consent_pb2.ProfileLinkRequested:
        self._check(request.token)
        self.links_asked.append(request)
        return consent_pb2.ProfileLinkRequested()

    async def DescribeProfileLink(self, request: Any, context: Any) -> consent_pb2.ProfileLink:
        self._check(request.token)
        return self.profile_link

    async def UseProfileLink(self, request: Any, context: Any) -> consent_pb2.ProfileLink:
        self._check(request.token)
        self.link_used.append(request)
        return self.becomes or self.profile_link

    async def RequestSuppressionExport(self, request: Any, context: Any) -> consent_pb2.SuppressionExport:
        return consent_pb2.SuppressionExport(suppression_export_id="sxp_1", purpose=request.purpose, version=1)

    async def ApproveSuppressionExport(self, request: Any, context: Any) -> consent_pb2.SuppressionExport:
        return consent_pb2.SuppressionExport(suppression_export_id=request.suppression_export_id, version=2)

    async def TakeSuppressionExport(self, request: Any, context: Any) -> AsyncIterator[consent_pb2.SuppressionCsv]:
        self.exports_taken += 1
        yield consent_pb2.SuppressionCsv(data=b"address,address_key\r\n")
        yield consent_pb2.SuppressionCsv(data=b"ann@example.com,00\r\n")

    def _check(self, token: str) -> None:
        self.had_context.append(caller.maybe_current() is not None)
        if self.away:
            raise Unavailable("The ledger cannot be reached.")
        if token not in self.tokens:
            raise Invalid("This unsubscribe link is damaged or not one of ours.", type="bad-token")

    async def DescribeToken(self, request: Any, context: Any) -> consent_pb2.TokenDescription:
        self._check(request.token)
        self.described += 1
        scope = consent_pb2.Scope(list_id="lst_1")
        already = request.token == "stopped-before"
        return consent_pb2.TokenDescription(
            tenant_id=TENANT, scope=scope, already_withdrawn=already, list_name=self.list_name, address_key=b"\1" * 33
        )

    async def WithdrawByToken(self, request: Any, context: Any) -> consent_pb2.Withdrawal:
        self._check(request.token)
        self.withdrawn.append(request)
        again = len(self.withdrawn) > 1
        scope = consent_pb2.Scope(everything=True) if request.everything else consent_pb2.Scope(list_id="lst_1")
        answer = consent_pb2.Withdrawal(event_id="evt_1", outcome=self.outcome, scope=scope, already_withdrawn=again)
        answer.withdrawn_at.FromJsonString("2026-03-01T12:00:00.25Z")
        answer.answered_at.FromJsonString("2026-03-01T12:00:00.30Z")
        if self.relay_may_hold:
            answer.relay_may_hold = self.relay_may_hold
            answer.relay_until.FromJsonString("2026-03-02T12:00:00Z")
        return answer

    async def DescribePreferences(self, request: Any, context: Any) -> consent_pb2.Preferences:
        self._check(request.token)
        self.described += 1
        return self.preferences

    async def ChangePreferences(self, request: Any, context: Any) -> consent_pb2.PreferencesChanged:
        self._check(request.token)
        self.changes.append(request)
        return consent_pb2.PreferencesChanged(outcome=self.outcome, already=len(self.changes) > 1, preferences=self.preferences)

    async def DescribeForm(self, request: Any, context: Any) -> consent_pb2.Form:
        if request.form_id != FORM_ID:
            raise NotFound("There is no such form.")
        return self.form

    async def SignUp(self, request: Any, context: Any) -> consent_pb2.SignUpTaken:
        self.signed_up.append(request)
        return consent_pb2.SignUpTaken()

    async def DescribeConfirmation(self, request: Any, context: Any) -> consent_pb2.Confirmation:
        self._check(request.token)
        return self.confirmation

    async def ConfirmSignUp(self, request: Any, context: Any) -> consent_pb2.Confirmation:
        self._check(request.token)
        self.confirmed.append(request)
        return self.confirmation

    async def RecordConsents(self, request: Any, context: Any) -> consent_pb2.RecordConsentsResponse:
        self.recorded.append(request)
        return consent_pb2.RecordConsentsResponse(event_ids=["evt_1"] * len(request.consents), recorded=len(request.consents))

    async def ExplainDecision(self, request: Any, context: Any) -> consent_pb2.ExplainedDecision:
        self.explained.append(request)
        reason = consent_pb2.Reason(code="CA:ROUTE_EXPIRED", section="CASL s. 10(10)")
        verdict = consent_pb2.Verdict(reasons=[reason], duties=["postal_address"], bases={"US": "opt_out_regime"})
        return consent_pb2.ExplainedDecision(verdict=verdict, evidence=["evt_1"], law_version="ab12")

    async def WithdrawConsent(self, request: Any, context: Any) -> consent_pb2.Withdrawal:
        self.stopped.append(request)
        return consent_pb2.Withdrawal(event_id="evt_2", outcome=self.outcome, scope=request.scope)

    async def PutNotice(self, request: Any, context: Any) -> consent_pb2.Notice:
        digest = hashlib.sha256(request.wording.encode()).digest()
        again = digest in self.notices
        self.notices[digest] = consent_pb2.Notice(notice_hash=digest, wording=request.wording, version=2 if again else 1)
        return self.notices[digest]

    async def GetNotice(self, request: Any, context: Any) -> consent_pb2.Notice:
        if request.notice_hash not in self.notices:
            raise NotFound("There is no notice with this hash.")
        return self.notices[request.notice_hash]

    async def CreateOptOutLink(self, request: Any, context: Any) -> consent_pb2.OptOutLink:
        return consent_pb2.OptOutLink(url=f"https://mail.example/u/{len(self.tokens)}")

    async def ListConsentEvents(self, request: Any, context: Any) -> consent_pb2.ListConsentEventsResponse:
        event = consent_pb2.ConsentEvent(event_id="evt_1", sealed_proof_evidence=b"sealed", address_key=b"\0\xff", version=1)
        return consent_pb2.ListConsentEventsResponse(events=[event])
