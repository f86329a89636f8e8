"""A version of a template, and its life: draft → approved → retired. Its words never change; other words are another version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from postlaw_sending.campaigns.domain.campaign import Template
from postlaw_sending.campaigns.domain.ruling import COMMERCIAL, MessageFacts

LAST_VERSION: Final = 9_999


class Class(StrEnum):
    """Promise G2: what each may rest on is the law's to say."""

    MARKETING = "marketing"
    SERVICE = "service"
    TRANSACTIONAL = "transactional"


# The law knows no class of service mail: what it asks of transactional mail, it asks of that, and neither may advertise.
LAW_CLASS: Final[Mapping[Class, str]] = {
    Class.MARKETING: COMMERCIAL,
    Class.SERVICE: "transactional",
    Class.TRANSACTIONAL: "transactional",
}


class Status(StrEnum):
    DRAFT = "draft"
    APPROVED = "approved"
    RETIRED = "retired"


class OwnApproval(Exception):
    """Whoever wrote a version cannot approve it."""


class Retired(Exception):
    """A retired version is approved no more."""


@dataclass(frozen=True, slots=True)
class Who:
    """`actor`: kind and id. `credential_id`: the key or session that they used."""

    actor: str
    credential_id: str


@dataclass(frozen=True, slots=True)
class TemplateVersion:
    """`version` counts from 1. Times in microseconds since the epoch, 0: not yet."""

    template_id: str
    version: int
    tenant_id: str
    name: str
    template_class: Class
    states: tuple[str, ...]
    template: Template
    written_by: Who
    created_at_us: int
    status: Status = Status.DRAFT
    approved_by: str = ""
    approved_at_us: int = 0
    retired_at_us: int = 0

    @property
    def message(self) -> MessageFacts:
        """What the law is told of its messages."""
        return MessageFacts(LAW_CLASS[self.template_class], self.states)

    def same_words(self, other: TemplateVersion) -> bool:
        """Whether both say the same, whoever wrote them, and whatever became of them."""
        return (self.name, self.message, self.template_class, self.template) == (
            other.name,
            other.message,
            other.template_class,
            other.template,
        )


def approved(version: TemplateVersion, by: Who, now_us: int) -> TemplateVersion:
    """Raises OwnApproval, Retired. Approved already: the same object."""
    if version.status is Status.RETIRED:
        raise Retired
    if by.actor == version.written_by.actor or by.credential_id == version.written_by.credential_id:
        raise OwnApproval
    if version.status is Status.APPROVED:
        return version
    return replace(version, status=Status.APPROVED, approved_by=by.actor, approved_at_us=now_us)


def retired(version: TemplateVersion, now_us: int) -> TemplateVersion:
    """Retired already: the same object."""
    return version if version.status is Status.RETIRED else replace(version, status=Status.RETIRED, retired_at_us=now_us)
