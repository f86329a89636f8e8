"""gRPC → use case, for templates."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_sending.campaigns.wire import template_from_wire, without_images
from postlaw_sending.templates.use_cases.judge_templates import JudgeTemplates
from postlaw_sending.templates.use_cases.write_templates import WriteTemplates
from postlaw_sending.templates.wire import class_from_wire, version_to_wire


class TemplateCalls:
    """The part of the service's servicer that is about templates."""

    def __init__(self, write: WriteTemplates, judge: JudgeTemplates) -> None:
        self._write = write
        self._judge = judge

    async def CreateTemplate(self, request: sending.CreateTemplateRequest, context: Any) -> sending.TemplateVersion:
        template, template_class = template_from_wire(request.template), class_from_wire(request.template_class)
        return version_to_wire(await self._write.create(request.name, template_class, request.states, template, request.idempotency_key))

    async def AddTemplateVersion(self, request: sending.AddTemplateVersionRequest, context: Any) -> sending.TemplateVersion:
        template, template_class = template_from_wire(request.template), class_from_wire(request.template_class)
        return version_to_wire(
            await self._write.add(request.template_id, request.version, request.name, template_class, request.states, template)
        )

    async def GetTemplateVersion(self, request: sending.TemplateVersionRequest, context: Any) -> sending.TemplateVersion:
        return version_to_wire(await self._write.get(request.template_id, request.version))

    async def ListTemplateVersions(
        self, request: sending.ListTemplateVersionsRequest, context: Any
    ) -> sending.ListTemplateVersionsResponse:
        versions, next_page = await self._write.page(request.page_size, request.page_token)
        listed = [version_to_wire(replace(version, template=without_images(version.template))) for version in versions]
        return sending.ListTemplateVersionsResponse(templates=listed, next_page_token=next_page)

    async def ApproveTemplateVersion(self, request: sending.TemplateVersionRequest, context: Any) -> sending.TemplateVersion:
        return version_to_wire(await self._judge.approve(request.template_id, request.version))

    async def RetireTemplateVersion(self, request: sending.TemplateVersionRequest, context: Any) -> sending.TemplateVersion:
        return version_to_wire(await self._judge.retire(request.template_id, request.version))
