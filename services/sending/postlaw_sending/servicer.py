"""gRPC → use case."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.foreground import answering
from postlaw_common.operator_acts import OperatorActs
from postlaw_sending.analytics.assembly import AnalyticsParts
from postlaw_sending.analytics.wire import as_csv
from postlaw_sending.campaigns.domain.campaign import Move
from postlaw_sending.campaigns.use_cases.create_campaign import Asked, CreateCampaign
from postlaw_sending.campaigns.use_cases.decide_ab_test import DecideAbTests
from postlaw_sending.campaigns.use_cases.get_checklist import GetChecklist
from postlaw_sending.campaigns.use_cases.move_campaign import MoveCampaign
from postlaw_sending.campaigns.use_cases.read_campaigns import ReadCampaigns
from postlaw_sending.campaigns.use_cases.resolve_unknown import ResolveUnknown
from postlaw_sending.campaigns.use_cases.schedule_campaign import ScheduleCampaign
from postlaw_sending.campaigns.wire import (
    campaign_to_wire,
    facts_given,
    micros,
    recipient_to_wire,
    sender_from_wire,
    state_from_wire,
    template_from_wire,
    without_images,
)
from postlaw_sending.campaigns.wire_ab_test import ab_test_from_wire
from postlaw_sending.checklist.wire import checklist_to_wire
from postlaw_sending.domains.use_cases.keep_domains import KeepDomains
from postlaw_sending.domains.wire import domain_to_wire
from postlaw_sending.frequency.caps import Caps
from postlaw_sending.frequency.wire import cap_to_wire
from postlaw_sending.handoffs.calls import ReconcileRelayLog
from postlaw_sending.reports.read_reports import ReadReports
from postlaw_sending.reports.wire import report_to_wire
from postlaw_sending.returns.held import HeldReturns
from postlaw_sending.returns.judging import Judging
from postlaw_sending.returns.provider_rates import ProviderRates
from postlaw_sending.returns.webhooks.taking import TakeReports
from postlaw_sending.singles.send_message import SendMessage
from postlaw_sending.singles.send_single import Asked as AskedSingle
from postlaw_sending.singles.send_single import SendSingle
from postlaw_sending.team.assembly import TeamParts
from postlaw_sending.team.calls import TeamCalls
from postlaw_sending.templates.assembly import TemplateParts
from postlaw_sending.templates.calls import TemplateCalls
from postlaw_sending.tracking.record_hit import RecordHit
from postlaw_sending.tracking.wire import kind_from_wire, tracking_from_wire
from postlaw_sending.webhooks.calls import WebhookCalls, WebhookServicer


class SendingServicer(TemplateCalls, TeamCalls, WebhookServicer):
    """`await_stopped`, `attest` and `list_holdings` are the stop's."""

    def __init__(
        self,
        *,
        create: CreateCampaign,
        move: MoveCampaign,
        schedule: ScheduleCampaign,
        deciding: DecideAbTests,
        caps: Caps,
        resolve_unknown: ResolveUnknown,
        checklist: GetChecklist,
        read: ReadCampaigns,
        send: SendMessage,
        send_single: SendSingle,
        templates: TemplateParts,
        team: TeamParts,
        domains: KeepDomains,
        domain_reports: ReadReports,
        await_stopped: Callable[[sending.AwaitStoppedRequest], Awaitable[sending.AwaitStoppedResponse]],
        attest: Callable[[sending.AttestWorkerEndRequest], Awaitable[sending.AttestWorkerEndResponse]],
        list_holdings: Callable[[sending.ListHoldingsRequest], Awaitable[sending.ListHoldingsResponse]],
        held_returns: HeldReturns,
        judging: Judging,
        provider_rates: ProviderRates,
        reports: TakeReports,
        record_hit: RecordHit,
        analytics: AnalyticsParts,
        webhooks: WebhookCalls,
        acts: OperatorActs,
        relay_log: ReconcileRelayLog,
    ) -> None:
        super().__init__(templates.write, templates.judge)
        self._team = team
        self._create = create
        self._move = move
        self._schedule = schedule
        self._deciding = deciding
        self._caps = caps
        self._resolve_unknown = resolve_unknown
        self._checklist = checklist
        self._read = read
        self._send = send
        self._send_single = send_single
        self._domains = domains
        self._domain_reports = domain_reports
        self._await_stopped = await_stopped
        self._attest = attest
        self._list_holdings = list_holdings
        self._held_returns = held_returns
        self._judging = judging
        self._provider_rates = provider_rates
        self._reports = reports
        self._record_hit = record_hit
        self._analytics = analytics
        self._acts = acts
        self._relay_log = relay_log
        WebhookServicer.__init__(self, webhooks)

    async def CreateCampaign(self, request: sending.CreateCampaignRequest, context: Any) -> sending.Campaign:
        asked = Asked(
            name=request.name,
            list_id=request.list_id,
            sender=sender_from_wire(request.sender),
            template=template_from_wire(request.template) if request.HasField("template") else None,
            message=facts_given(request.message) if request.HasField("message") else None,
            template_id=request.template_id,
            template_version=request.template_version,
            idempotency_key=request.idempotency_key,
            messages_per_hour=request.messages_per_hour,
            mail_unknown_again=request.mail_unknown_again,
            forward_answers_to=request.forward_answers_to,
            leave_out_silent_days=request.leave_out_silent_days,
            ab_test=ab_test_from_wire(request.ab_test) if request.HasField("ab_test") else None,
            tracking=tracking_from_wire(request.tracking),
        )
        campaign = await self._create(asked)
        return campaign_to_wire(campaign, await self._read.totals(campaign))

    async def GetCampaign(self, request: sending.GetCampaignRequest, context: Any) -> sending.Campaign:
        return campaign_to_wire(*await self._read.get(request.campaign_id))

    async def ListCampaigns(self, request: sending.ListCampaignsRequest, context: Any) -> sending.ListCampaignsResponse:
        campaigns, next_page = await self._read.page(request.page_size, request.page_token)
        listed = [campaign_to_wire(replace(campaign, template=without_images(campaign.template))) for campaign in campaigns]
        return sending.ListCampaignsResponse(campaigns=listed, next_page_token=next_page)

    async def LaunchCampaign(self, request: sending.GetCampaignRequest, context: Any) -> sending.Campaign:
        return await self._moved(request, Move.LAUNCH)

    async def GetChecklist(self, request: sending.GetCampaignRequest, context: Any) -> sending.Checklist:
        return checklist_to_wire(await self._checklist(request.campaign_id))

    async def ScheduleCampaign(self, request: sending.ScheduleCampaignRequest, context: Any) -> sending.Campaign:
        at_us = micros(request.at) if request.HasField("at") else 0
        return campaign_to_wire(await self._schedule(request.campaign_id, at_us, request.local_time, request.time_zone))

    async def UnscheduleCampaign(self, request: sending.GetCampaignRequest, context: Any) -> sending.Campaign:
        return await self._moved(request, Move.UNSCHEDULE)

    async def ChooseWinner(self, request: sending.ChooseWinnerRequest, context: Any) -> sending.Campaign:
        await self._deciding.by_hand(request.campaign_id, request.variant)
        return campaign_to_wire(*await self._read.get(request.campaign_id))

    async def PauseCampaign(self, request: sending.GetCampaignRequest, context: Any) -> sending.Campaign:
        return await self._moved(request, Move.PAUSE)

    async def ResumeCampaign(self, request: sending.GetCampaignRequest, context: Any) -> sending.Campaign:
        return await self._moved(request, Move.RESUME)

    async def CancelCampaign(self, request: sending.GetCampaignRequest, context: Any) -> sending.Campaign:
        return await self._moved(request, Move.CANCEL)

    async def _moved(self, request: sending.GetCampaignRequest, move: Move) -> sending.Campaign:
        campaign = await self._move(request.campaign_id, move)
        return campaign_to_wire(campaign, await self._read.totals(campaign))

    async def ListRecipients(self, request: sending.ListRecipientsRequest, context: Any) -> sending.ListRecipientsResponse:
        state = state_from_wire(request.state)
        outcomes, next_page = await self._read.recipients(request.campaign_id, state, request.page_size, request.page_token)
        return sending.ListRecipientsResponse(recipients=map(recipient_to_wire, outcomes), next_page_token=next_page)

    async def SetFrequencyCap(self, request: sending.FrequencyCap, context: Any) -> sending.FrequencyCap:
        return cap_to_wire(await self._caps.set(request.messages, request.days))

    async def GetFrequencyCap(self, request: sending.GetFrequencyCapRequest, context: Any) -> sending.FrequencyCap:
        return cap_to_wire(await self._caps.get())

    async def SendMessage(self, request: sending.SendMessageRequest, context: Any) -> sending.SendMessageResponse:
        return sending.SendMessageResponse(message_id=await self._send(request))

    async def SendSingle(self, request: sending.SendSingleRequest, context: Any) -> sending.SendMessageResponse:
        asked = AskedSingle(
            idempotency_key=request.idempotency_key,
            template_id=request.template_id,
            template_version=request.template_version,
            sender=sender_from_wire(request.sender),
            subscriber_id=request.subscriber_id,
            address=request.address,
            fields=dict(request.fields),
        )
        return sending.SendMessageResponse(message_id=await self._send_single(asked))

    async def RegisterSenderDomain(self, request: sending.SenderDomainRequest, context: Any) -> sending.SenderDomain:
        return domain_to_wire(await self._domains.register(request.domain))

    async def GetSenderDomain(self, request: sending.SenderDomainRequest, context: Any) -> sending.SenderDomain:
        return domain_to_wire(await self._domains.get(request.domain))

    async def ListSenderDomains(self, request: sending.ListSenderDomainsRequest, context: Any) -> sending.ListSenderDomainsResponse:
        found, next_page = await self._domains.page(request.page_size, request.page_token)
        return sending.ListSenderDomainsResponse(sender_domains=map(domain_to_wire, found), next_page_token=next_page)

    async def CheckSenderDomain(self, request: sending.SenderDomainRequest, context: Any) -> sending.SenderDomain:
        return domain_to_wire(await self._domains.check(request.domain))

    async def RotateDkimKeys(self, request: sending.SenderDomainRequest, context: Any) -> sending.SenderDomain:
        return domain_to_wire(await self._domains.rotate(request.domain))

    async def ListDomainReports(self, request: sending.ListDomainReportsRequest, context: Any) -> sending.ListDomainReportsResponse:
        asked = (request.domain, request.since, request.page_size, request.page_token)
        domain, reports, next_page, address = await self._domain_reports(*asked)
        told = [report_to_wire(domain, report) for report in reports]
        return sending.ListDomainReportsResponse(reports=told, next_page_token=next_page, report_to=address)

    async def RecordHit(self, request: sending.RecordHitRequest, context: Any) -> sending.RecordHitResponse:
        kind = kind_from_wire(request.kind)
        said = {"head": request.head, "prefetch": request.prefetch}
        target = await self._record_hit(request.token, kind, request.link, request.user_agent, **said)
        return sending.RecordHitResponse(target=target)

    async def GetCampaignAnalytics(self, request: sending.GetCampaignRequest, context: Any) -> sending.CampaignAnalytics:
        return await self._analytics.read.of_campaign(request.campaign_id)

    async def GetAnalytics(self, request: sending.GetAnalyticsRequest, context: Any) -> sending.Analytics:
        return await self._analytics.read.by(request.by)

    async def ExportAnalytics(self, request: sending.GetAnalyticsRequest, context: Any) -> AsyncIterator[sending.AnalyticsCsv]:
        yield sending.AnalyticsCsv(data=as_csv(await self._analytics.read.by(request.by)))

    async def ReconcileAnalytics(self, request: sending.ReconcileAnalyticsRequest, context: Any) -> sending.ReconcileAnalyticsResponse:
        return await self._acts.noted("ReconcileAnalytics", request, lambda: self._analytics.reconcile(repair=request.repair))

    async def AwaitStopped(self, request: sending.AwaitStoppedRequest, context: Any) -> sending.AwaitStoppedResponse:
        with answering():  # the planner, where it runs in this process, steps aside
            return await self._await_stopped(request)

    async def AttestWorkerEnd(self, request: sending.AttestWorkerEndRequest, context: Any) -> sending.AttestWorkerEndResponse:
        return await self._acts.noted("AttestWorkerEnd", request, lambda: self._attest(request))

    async def ResolveUnknown(self, request: sending.ResolveUnknownRequest, context: Any) -> sending.ResolveUnknownResponse:
        async def resolve() -> sending.ResolveUnknownResponse:
            unknown, again = await self._resolve_unknown(request.campaign_id)
            return sending.ResolveUnknownResponse(unknown=unknown, mailed_again=again)

        return await self._acts.noted("ResolveUnknown", request, resolve)

    async def ListHoldings(self, request: sending.ListHoldingsRequest, context: Any) -> sending.ListHoldingsResponse:
        return await self._list_holdings(request)

    async def ListHeldReturns(self, request: sending.ListHeldReturnsRequest, context: Any) -> sending.ListHeldReturnsResponse:
        return await self._held_returns.list()

    async def ReleaseHeldReturns(self, request: sending.ReleaseHeldReturnsRequest, context: Any) -> sending.ReleaseHeldReturnsResponse:
        return await self._acts.noted("ReleaseHeldReturns", request, lambda: self._held_returns.release(request))

    async def TakeProviderReport(self, request: sending.TakeProviderReportRequest, context: Any) -> sending.TakeProviderReportResponse:
        return sending.TakeProviderReportResponse(notices=await self._reports(request.provider, request.headers, request.body))

    async def ReconcileRelayLog(self, request_iterator: AsyncIterator[sending.RelayLogPiece], context: Any) -> audit.Reconciliation:
        return await self._relay_log(request_iterator)

    async def ListHeldSending(self, request: sending.ListHeldSendingRequest, context: Any) -> sending.ListHeldSendingResponse:
        return await self._judging.held()

    async def ReleaseHeldSending(self, request: sending.ReleaseHeldSendingRequest, context: Any) -> sending.ReleaseHeldSendingResponse:
        return await self._acts.noted("ReleaseHeldSending", request, lambda: self._judging.release(request))

    async def ImportPostmasterRates(
        self, request: sending.ImportPostmasterRatesRequest, context: Any
    ) -> sending.ImportPostmasterRatesResponse:
        return await self._acts.noted("ImportPostmasterRates", request, lambda: self._provider_rates.take(request))
