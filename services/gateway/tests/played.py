"""Plain servicers in the places of the services that the gateway calls."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from postlaw.audit.v1 import audit_pb2
from postlaw.consent.v1 import consent_pb2
from postlaw.identity.v1 import identity_pb2
from postlaw.sending.v1 import sending_pb2
from postlaw.subscribers.v1 import subscribers_pb2
from postlaw_common import caller
from postlaw_common.errors import Invalid, NotFound, Unauthenticated, Unavailable, VersionMismatch
from postlaw_common.ids import new_id
from postlaw_common.testing.mesh import Mesh

TENANT = "ten_" + "0" * 26
EVERYTHING = (
    "lists:read", "lists:write", "subscribers:read", "subscribers:write", "consents:read", "consents:write", "campaigns:read",
    "campaigns:write", "campaigns:launch", "audit:read", "keys:read", "keys:write",
    "suppressions:approve", "suppressions:export", "templates:read", "templates:write", "templates:approve",
    "reports:read", "reports:write",
)  # fmt: skip

REPORT_ID = "rep_01m8b7khwte0h8fj6kpey0vyxq"
FORM_ID = "frm_01m8b7khwte0h8fj6kpey0vyxp"


@dataclass
class Key:
    tenant_id: str = TENANT
    scopes: tuple[str, ...] = EVERYTHING
    credential_id: str = field(default_factory=lambda: new_id("key"))
    refusal: str = ""
    lives_s: float = 3600


class FakeIdentity:
    def __init__(self) -> None:
        self.mesh: Mesh | None = None
        self.keys: dict[str, Key] = {}
        self.asked = 0
        self.before_answer: Any = None
        self.down = False
        self.created: list[identity_pb2.CreateApiKeyRequest] = []
        self.name = "Möbel <Maier>"
        self.contact = "hello@maier.example"

    async def AuthenticateApiKey(self, request: Any, context: Any) -> identity_pb2.IssuedContext:
        self.asked += 1
        if self.down:
            raise RuntimeError("identity is down")
        key = self.keys.get(request.secret)
        if key is None:
            raise Unauthenticated("This API key is not known.", type="unknown-key")
        if key.refusal:
            raise Unauthenticated("No.", type=key.refusal)
        assert self.mesh is not None
        made = self.mesh.caller(key.tenant_id, key.scopes, credential_id=key.credential_id, lives_s=key.lives_s)
        answer = identity_pb2.IssuedContext()
        answer.signed.ParseFromString(made.signed)
        answer.context.ParseFromString(answer.signed.context)
        if self.before_answer is not None:
            await self.before_answer()
        return answer

    async def ListSigningKeys(self, request: Any, context: Any) -> identity_pb2.ListSigningKeysResponse:
        return identity_pb2.ListSigningKeysResponse()

    async def GetTenant(self, request: Any, context: Any) -> identity_pb2.Tenant:
        if self.down:
            raise RuntimeError("identity is down")
        stands = identity_pb2.SenderIdentity(contact=self.contact)
        return identity_pb2.Tenant(tenant_id=request.tenant_id, name=self.name, postal_address="1 High St", sender_identity=stands)

    async def CreateApiKey(self, request: Any, context: Any) -> identity_pb2.CreateApiKeyResponse:
        self.created.append(request)
        made = identity_pb2.ApiKey(api_key_id=new_id("key"), name=request.name, scopes=request.scopes, version=1)
        return identity_pb2.CreateApiKeyResponse(api_key=made, secret=f"pl_live_secret{len(self.created)}")


class FakeSubscribers:
    def __init__(self) -> None:
        self.lists: dict[str, subscribers_pb2.List] = {}
        self.people: dict[str, subscribers_pb2.Subscriber] = {}
        self.settings: list[subscribers_pb2.ImportSettings] = []
        self.uploads: list[bytes] = []
        self.largest_chunk = 0
        self.deeds: list[str] = []
        self.loses_answers = False
        self.refuses: Exception | None = None
        self.masked = "j•••@e•••.com"
        self.language = ""
        self.masked_asked: list[subscribers_pb2.GetMaskedAddressRequest] = []

    async def GetMaskedAddress(self, request: Any, context: Any) -> subscribers_pb2.MaskedAddress:
        self.masked_asked.append(request)
        if self.refuses is not None:
            raise self.refuses
        return subscribers_pb2.MaskedAddress(masked=self.masked, language=self.language)

    async def CreateList(self, request: Any, context: Any) -> subscribers_pb2.List:
        self.deeds.append(request.idempotency_key)
        if self.loses_answers:
            raise Unavailable("The list is made, and this is not what the caller should hear.")
        if self.refuses is not None:
            raise self.refuses
        made = subscribers_pb2.List(list_id=new_id("lst"), name=request.name, version=1)
        self.lists[made.list_id] = made
        return made

    async def GetList(self, request: Any, context: Any) -> subscribers_pb2.List:
        if request.list_id not in self.lists:
            raise NotFound("There is no such list.")
        return self.lists[request.list_id]

    async def ListLists(self, request: Any, context: Any) -> subscribers_pb2.ListListsResponse:
        return subscribers_pb2.ListListsResponse(lists=self.lists.values(), next_page_token=f"{request.page_size}/{request.page_token}")

    async def CreateImport(self, requests: Any, context: Any) -> subscribers_pb2.Import:
        taken = bytearray()
        settings = None
        async for request in requests:
            if request.WhichOneof("part") == "settings":
                settings = request.settings
            else:
                self.largest_chunk = max(self.largest_chunk, len(request.chunk))
                taken += request.chunk
        assert settings is not None
        if settings.list_id == "lst_gone":
            raise NotFound("There is no such list.")
        self.settings.append(settings)
        self.uploads.append(bytes(taken))
        return subscribers_pb2.Import(
            import_id=new_id("imp"), list_id=settings.list_id, state=subscribers_pb2.Import.STATE_QUEUED, version=1
        )

    async def GetImportErrors(self, request: Any, context: Any) -> AsyncIterator[subscribers_pb2.CsvChunk]:
        if request.import_id == "imp_gone":
            raise NotFound("There is no such import.")
        yield subscribers_pb2.CsvChunk(data=b"row,reason\r\n")
        yield subscribers_pb2.CsvChunk(data=b"2,not an address\r\n")
        if request.import_id == "imp_breaks":
            raise Unavailable("The blobs are away.")

    async def PutSubscriber(self, request: Any, context: Any) -> subscribers_pb2.Subscriber:
        known = self.people.get(request.subscriber_id)
        if request.subscriber_id and known is None:
            raise NotFound("There is no such person.")
        if known is not None and request.if_version not in (0, known.version):
            raise VersionMismatch("This person has changed.")
        id = request.subscriber_id or new_id("sub")
        version = known.version + 1 if known else 1
        self.people[id] = subscribers_pb2.Subscriber(subscriber_id=id, address=request.address, fields=request.fields, version=version)
        return self.people[id]

    async def GetSubscriber(self, request: Any, context: Any) -> subscribers_pb2.Subscriber:
        if request.subscriber_id not in self.people:
            raise NotFound("There is no such person.")
        return self.people[request.subscriber_id]

    async def DeleteSubscriber(self, request: Any, context: Any) -> Any:
        from google.protobuf.empty_pb2 import Empty

        known = self.people.get(request.subscriber_id)
        if known is not None and request.if_version not in (0, known.version):
            raise VersionMismatch("This person has changed.")
        self.people.pop(request.subscriber_id, None)
        return Empty()


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


class FakeSending:
    def __init__(self) -> None:
        self.campaigns: dict[str, sending_pb2.Campaign] = {}
        self.created = 0
        self.hold: Any = None
        self.callers: list[caller.Caller] = []
        self.states: list[int] = []
        self.hits: list[sending_pb2.RecordHitRequest] = []
        self.targets: dict[str, str] = {}
        self.away = False

    async def CreateCampaign(self, request: Any, context: Any) -> sending_pb2.Campaign:
        self.created += 1
        self.callers.append(caller.current())
        if self.hold is not None:
            await self.hold.wait()
        made = sending_pb2.Campaign(
            campaign_id=new_id("cmp"), tenant_id=TENANT, name=request.name, list_id=request.list_id, sender=request.sender,
            template=request.template, status=sending_pb2.Campaign.STATUS_DRAFT, version=1, template_id=request.template_id,
            template_version=request.template_version,
        )  # fmt: skip
        self.campaigns[made.campaign_id] = made
        return made

    async def RecordHit(self, request: Any, context: Any) -> sending_pb2.RecordHitResponse:
        if self.away:
            raise Unavailable("Sending is away.")
        self.hits.append(request)
        if request.token not in self.targets:
            raise NotFound("There is no such link.")
        return sending_pb2.RecordHitResponse(target=self.targets[request.token])

    async def GetCampaign(self, request: Any, context: Any) -> sending_pb2.Campaign:
        if request.campaign_id not in self.campaigns:
            raise NotFound("There is no such campaign.")
        return self.campaigns[request.campaign_id]

    async def LaunchCampaign(self, request: Any, context: Any) -> sending_pb2.Campaign:
        campaign = await self.GetCampaign(request, context)
        campaign.status = sending_pb2.Campaign.STATUS_SENDING
        campaign.version += 1
        return campaign

    async def ListRecipients(self, request: Any, context: Any) -> sending_pb2.ListRecipientsResponse:
        self.states.append(request.state)
        one = sending_pb2.Recipient(subscriber_id="sub_1", state=sending_pb2.RECIPIENT_STATE_REFUSED, reason="no_consent")
        return sending_pb2.ListRecipientsResponse(recipients=[one], next_page_token="more")

    async def CreateTemplate(self, request: Any, context: Any) -> sending_pb2.TemplateVersion:
        return sending_pb2.TemplateVersion(template_id="tpl_1", version=1, template_class=request.template_class, template=request.template)

    async def ApproveTemplateVersion(self, request: Any, context: Any) -> sending_pb2.TemplateVersion:
        return sending_pb2.TemplateVersion(
            template_id=request.template_id, version=request.version, status=sending_pb2.TemplateVersion.STATUS_APPROVED
        )


class FakeAudit:
    async def GetEvidence(self, request: Any, context: Any) -> AsyncIterator[audit_pb2.EvidencePiece]:
        for piece in (b"PK", request.address.encode()):
            yield audit_pb2.EvidencePiece(data=piece, address_key=b"\1key")

    async def AnswerEvidence(self, request: Any, context: Any) -> audit_pb2.EvidenceAnswers:
        shown = audit_pb2.ShownMail(ours=False, reason=f"{len(request.mail)} octets") if request.HasField("mail") else None
        return audit_pb2.EvidenceAnswers(mail=shown, searched_below=7, address_key=b"\1key")

    async def ListEntries(self, request: Any, context: Any) -> audit_pb2.ListEntriesResponse:
        return audit_pb2.ListEntriesResponse(searched_below=7, address_key=b"\1key")

    async def CreateReport(self, request: Any, context: Any) -> audit_pb2.Report:
        return audit_pb2.Report(report_id=REPORT_ID, kind=request.kind, state=audit_pb2.Report.STATE_QUEUED, unwitnessed=True)

    async def GetReport(self, request: Any, context: Any) -> audit_pb2.Report:
        raise NotFound("There is no such report.")

    async def GetReportFile(self, request: Any, context: Any) -> AsyncIterator[audit_pb2.ReportPiece]:
        if request.report_id != REPORT_ID:
            raise NotFound("There is no such report.")
        for piece in ("a,b\r\n", audit_pb2.GetReportFileRequest.Format.Name(request.format)):
            yield audit_pb2.ReportPiece(data=piece.encode())

    async def GetLogFile(self, request: Any, context: Any) -> AsyncIterator[audit_pb2.LogFilePiece]:
        if request.path == "gone":
            raise NotFound("There is no such file.")
        for piece in ("first, ", "second of ", request.path):
            yield audit_pb2.LogFilePiece(data=piece.encode())

    async def GetCheckpoint(self, request: Any, context: Any) -> audit_pb2.Checkpoint:
        return audit_pb2.Checkpoint(origin="postlaw", size=2**60, root_hash=b"\1" * 32)

    async def GetConsistencyProof(self, request: Any, context: Any) -> audit_pb2.ConsistencyProof:
        return audit_pb2.ConsistencyProof(first=request.first, second=request.second)

    async def GetEventProof(self, request: Any, context: Any) -> audit_pb2.EventProof:
        raise NotFound("There is no such event.")
