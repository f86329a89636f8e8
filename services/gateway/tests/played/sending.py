"""Sending, as the gateway calls it: campaigns in memory."""

from __future__ import annotations

from typing import Any

from postlaw.sending.v1 import sending_pb2
from postlaw_common import caller
from postlaw_common.errors import NotFound, Unavailable
from postlaw_common.ids import new_id
from services.gateway.tests.played.identity import TENANT

CAMPAIGN = {
    "name": "Spring",
    "list_id": "lst_1",
    "sender": {"name": "Maier", "address": "news@maier.example", "postal_address": "Weg 1, Graz"},
    "template": {"subject": "Hello", "text": "Hi {{ name }}", "html": "<p>Hi</p>"},
}


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
