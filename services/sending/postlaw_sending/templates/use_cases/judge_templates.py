"""Approving a version, by another credential than its author's; retiring one; and which of them a campaign may name."""

from __future__ import annotations

from collections.abc import Callable

from postlaw_common.caller import current
from postlaw_common.errors import Conflict, Denied, FieldError
from postlaw_sending.campaigns.domain.images import names_shown
from postlaw_sending.templates.documents import TemplateVersions
from postlaw_sending.templates.domain import Class, OwnApproval, Retired, Status, TemplateVersion, Who, approved, retired
from postlaw_sending.templates.promotional import promotions


class JudgeTemplates:
    def __init__(self, versions: TemplateVersions, now_us: Callable[[], int]) -> None:
        self._versions = versions
        self._now_us = now_us

    async def approve(self, template_id: str, number: int) -> TemplateVersion:
        """Approved already: as it is. Raises NotFound; Denied for its author; Conflict where it is retired, or advertises and is
        not of marketing, with each place, or where it shows an image that it has not, or has one that it does not show."""
        caller = current()
        by = Who(str(caller.actor), caller.credential_id)
        now_us = self._now_us()

        def change(version: TemplateVersion) -> TemplateVersion:
            try:
                after = approved(version, by, now_us)
            except OwnApproval as own:
                raise Denied("Whoever wrote a template cannot approve it: another credential must.", type="approval-by-another") from own
            except Retired as gone:
                raise Conflict("This version is retired, for good; add another one.", type="template-retired") from gone
            if after is not version:
                _refuse_promotions(version)
                _refuse_images(version)
            return after

        return await self._versions.change(template_id, number, caller.tenant_id, change, caller.actor)

    async def retire(self, template_id: str, number: int) -> TemplateVersion:
        """Retired already: as it is. Raises NotFound."""
        caller = current()
        now_us = self._now_us()
        return await self._versions.change(template_id, number, caller.tenant_id, lambda version: retired(version, now_us), caller.actor)

    async def approved_now(self, template_id: str, number: int, tenant_id: str) -> TemplateVersion:
        """For a campaign that names it. Raises NotFound; Conflict where it is not approved, or no more."""
        version = await self._versions.get(template_id, number, tenant_id)
        if version.status is not Status.APPROVED:
            raise Conflict(
                f"Version {number} of template {template_id} is {version.status}; a campaign needs an approved one.",
                type="template-not-approved",
            )
        return version


def _refuse_images(version: TemplateVersion) -> None:
    template = version.template
    shown = names_shown(template.html)
    there = {image.name for image in template.images}
    fields = [FieldError("template.html", f"shows cid:{name}, which is none of its images") for name in shown if name not in there]
    fields += [FieldError("template.images", f"{name} is shown nowhere") for name in sorted(there - set(shown))]
    if fields:
        raise Conflict("What the template shows and the images that it has are not the same.", type="template-images", fields=fields)


def _refuse_promotions(version: TemplateVersion) -> None:
    if version.template_class is Class.MARKETING or not (found := promotions(version.template)):
        return
    fields = [FieldError(place.field, f"line {place.line}: {place.what!r} advertises") for place in found]
    raise Conflict(
        f"A {version.template_class} template may not advertise. Take it out, or make this a marketing template.",
        type="template-advertises",
        fields=fields,
    )
