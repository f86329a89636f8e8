"""Templates' protobuf on one side, plain values on the other."""

from __future__ import annotations

import hashlib

from postlaw.identity.v1 import context_pb2 as identity
from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.caller import Actor
from postlaw_sending.campaigns.wire import ACTOR_KINDS, micros, template_from_wire, template_to_wire, timestamp
from postlaw_sending.templates.domain import Class, Status, TemplateVersion, Who

TEMPLATES = "postlaw.sending.templates.v1"
TEMPLATE_CHANGED = "postlaw.sending.TemplateChanged"

_CLASS = {
    Class.MARKETING: sending.TEMPLATE_CLASS_MARKETING,
    Class.SERVICE: sending.TEMPLATE_CLASS_SERVICE,
    Class.TRANSACTIONAL: sending.TEMPLATE_CLASS_TRANSACTIONAL,
}
_CLASS_BACK = {number: name for name, number in _CLASS.items()}
_STATUS = {
    Status.DRAFT: sending.TemplateVersion.STATUS_DRAFT,
    Status.APPROVED: sending.TemplateVersion.STATUS_APPROVED,
    Status.RETIRED: sending.TemplateVersion.STATUS_RETIRED,
}
_STATUS_BACK = {number: status for status, number in _STATUS.items()}


def class_from_wire(given: sending.TemplateClass.ValueType) -> Class | None:
    """None: a class of a later version."""
    return _CLASS_BACK.get(given)


def version_to_wire(version: TemplateVersion) -> sending.TemplateVersion:
    return sending.TemplateVersion(
        template_id=version.template_id,
        version=version.version,
        tenant_id=version.tenant_id,
        name=version.name,
        template_class=_CLASS[version.template_class],
        states=version.states,
        template=template_to_wire(version.template),
        status=_STATUS[version.status],
        written_by=version.written_by.actor,
        approved_by=version.approved_by,
        created_at=timestamp(version.created_at_us),
        approved_at=timestamp(version.approved_at_us),
        retired_at=timestamp(version.retired_at_us),
    )


def version_from_wire(message: sending.TemplateVersion) -> TemplateVersion:
    """All but the author's credential, which is not said outside."""
    return TemplateVersion(
        template_id=message.template_id,
        version=message.version,
        tenant_id=message.tenant_id,
        name=message.name,
        template_class=_CLASS_BACK[message.template_class],
        states=tuple(message.states),
        template=template_from_wire(message.template),
        written_by=Who(message.written_by, ""),
        created_at_us=micros(message.created_at),
        status=_STATUS_BACK[message.status],
        approved_by=message.approved_by,
        approved_at_us=micros(message.approved_at),
        retired_at_us=micros(message.retired_at),
    )


def changed(version: TemplateVersion, actor: Actor) -> bytes:
    """A TemplateChanged: what was approved is known by its hash, also to who has not its words."""
    return sending.TemplateChanged(
        tenant_id=version.tenant_id,
        template_id=version.template_id,
        version=version.version,
        status=_STATUS[version.status],
        template_class=_CLASS[version.template_class],
        content_hash=hashlib.sha256(template_to_wire(version.template).SerializeToString(deterministic=True)).digest(),
        actor=identity.Actor(kind=ACTOR_KINDS[actor.kind], id=actor.id),
    ).SerializeToString()
