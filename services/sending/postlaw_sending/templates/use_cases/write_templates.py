"""A template's first version, the ones after it, and reading them. A version compiles, or it is not kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from postlaw_common.caller import current
from postlaw_common.errors import Conflict, FieldError, Invalid
from postlaw_common.ids import new_id
from postlaw_common.made_once import RequestKey, fingerprint
from postlaw_sending.campaigns.domain.campaign import Template
from postlaw_sending.messages.text_of_html import text_or_made
from postlaw_sending.templates.documents import TemplateVersions
from postlaw_sending.templates.domain import LAST_VERSION, Class, TemplateVersion, Who

DEFAULT_PAGE = 50
LARGEST_PAGE = 200  # a version may hold a megabyte


class WriteTemplates:
    """`check` says what is wrong with a template's words, field by field."""

    def __init__(self, versions: TemplateVersions, check: Callable[[Template], Sequence[FieldError]], now_us: Callable[[], int]) -> None:
        self._versions = versions
        self._check = check
        self._now_us = now_us

    async def create(
        self, name: str, template_class: Class | None, states: Sequence[str], template: Template, idempotency_key: str
    ) -> TemplateVersion:
        """Raises Invalid, KeyReused."""
        version = self._made(new_id("tpl"), 1, name, template_class, states, template)
        images = [image.digest for image in template.images]
        asked = fingerprint(name, version.template_class, template.subject, template.html, template.text, *version.states, *images)
        return await self._versions.insert(version, current().actor, RequestKey(version.tenant_id, idempotency_key), asked)

    async def add(
        self, template_id: str, number: int, name: str, template_class: Class | None, states: Sequence[str], template: Template
    ) -> TemplateVersion:
        """Raises Invalid, NotFound where the version before is none; Conflict where somebody added another one first."""
        if not 1 < number <= LAST_VERSION:
            raise Invalid("There is no such version.", fields=[FieldError("version", f"give 2 to {LAST_VERSION}, one after the last")])
        await self._versions.get(template_id, number - 1, current().tenant_id)
        version = self._made(template_id, number, name, template_class, states, template)
        stored = await self._versions.insert(version, current().actor, RequestKey(version.tenant_id, ""), b"")
        if not stored.same_words(version):
            raise Conflict(f"Version {number} exists and says something else; versions never change. Add the one after the last.")
        return stored

    async def get(self, template_id: str, version: int) -> TemplateVersion:
        """Raises NotFound."""
        return await self._versions.get(template_id, version, current().tenant_id)

    async def page(self, page_size: int, page_token: str) -> tuple[list[TemplateVersion], str]:
        if page_size < 0:
            raise Invalid("The page cannot be that small.", fields=[FieldError("page_size", f"give 1 to {LARGEST_PAGE}")])
        size = min(page_size or DEFAULT_PAGE, LARGEST_PAGE)
        return await self._versions.page(current().tenant_id, after=page_token, limit=size)

    def _made(
        self, template_id: str, number: int, name: str, template_class: Class | None, states: Sequence[str], template: Template
    ) -> TemplateVersion:
        caller = current()
        if template_class is None:
            raise Invalid("The template has no class.", fields=[FieldError("template_class", "is marketing, service or transactional")])
        version = TemplateVersion(
            template_id=template_id,
            version=number,
            tenant_id=caller.tenant_id,
            name=name,
            template_class=template_class,
            states=tuple(sorted(set(states))),
            template=replace(template, text=text_or_made(template.text, template.html)),
            written_by=Who(str(caller.actor), caller.credential_id),
            created_at_us=self._now_us(),
        )
        wrong = [FieldError(field, what) for field, what in version.message.wrong().items()]
        wrong += self._check(version.template)
        if wrong:
            raise Invalid("The template cannot be made into messages.", fields=wrong)
        return version
