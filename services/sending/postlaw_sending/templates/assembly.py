"""Templates, wired by hand. Nothing is opened here."""

from __future__ import annotations

from dataclasses import dataclass

from postlaw_common.bus import Topic
from postlaw_common.errors import FieldError
from postlaw_common.outbox import Outbox
from postlaw_common.platform import Platform
from postlaw_common.service import Background
from postlaw_sending.campaigns.domain.campaign import Template
from postlaw_sending.messages.images import wrong_images
from postlaw_sending.messages.templates import Templates
from postlaw_sending.templates.documents import TEMPLATE_DOCUMENTS, TemplateVersions
from postlaw_sending.templates.use_cases.judge_templates import JudgeTemplates
from postlaw_sending.templates.use_cases.write_templates import WriteTemplates
from postlaw_sending.templates.wire import TEMPLATES

COLLECTIONS = (TEMPLATE_DOCUMENTS,)
TOPICS = (Topic(TEMPLATES),)


@dataclass(frozen=True, slots=True)
class TemplateParts:
    write: WriteTemplates
    judge: JudgeTemplates
    sweeping: Background


def assemble_templates(platform: Platform, database: str) -> TemplateParts:
    """`database`: sending's own."""
    store = platform.store(database)
    outbox = Outbox(platform.bus, lambda: [store.collection(TEMPLATE_DOCUMENTS.name)])
    versions = TemplateVersions(lambda: store.collection(TEMPLATE_DOCUMENTS.name), outbox, lambda: platform.bus.partitions)
    return TemplateParts(
        WriteTemplates(versions, _wrong, platform.now_us),
        JudgeTemplates(versions, platform.now_us),
        Background("template outbox", outbox.run),
    )


def _wrong(template: Template) -> list[FieldError]:
    return Templates(template.subject, template.text, template.html).wrong + wrong_images(template.images)
