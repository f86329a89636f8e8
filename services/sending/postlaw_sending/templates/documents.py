"""Templates in the store, a document a version. Each change is written with the event that announces it (postlaw_common.outbox)."""

from __future__ import annotations

from collections.abc import Callable

from postlaw_common.caller import Actor
from postlaw_common.errors import NotFound
from postlaw_common.events import new_event, partition_of, to_record
from postlaw_common.made_once import MADE_UNDER, RequestKey
from postlaw_common.outbox import OUTBOX_INDEX, Outbox, add_to_outbox
from postlaw_common.store import AlreadyExists, Collection, CollectionSpec, Document, Index
from postlaw_sending.campaigns.images import images_to_document, template_from_document
from postlaw_sending.templates.domain import Class, Status, TemplateVersion, Who
from postlaw_sending.templates.wire import TEMPLATE_CHANGED, TEMPLATES, changed

TEMPLATE_DOCUMENTS = CollectionSpec("templates", (Index("tenant_id"), OUTBOX_INDEX, MADE_UNDER))


class TemplateVersions:
    """`collection`: `templates` of the database `sending`. `partitions`: the installation's count."""

    def __init__(self, collection: Callable[[], Collection], outbox: Outbox, partitions: Callable[[], int]) -> None:
        self._open = collection
        self._outbox = outbox
        self._partitions = partitions

    async def insert(self, version: TemplateVersion, actor: Actor, request: RequestKey, asked: bytes) -> TemplateVersion:
        """Announced; or as it is now what stands under the request's key, or in its place. Raises KeyReused."""
        document = self._announced(_to_document(version) | request.note(asked), version, actor, 1)
        try:
            await self._open().insert(document)
        except AlreadyExists:
            made = await request.made(self._open(), asked)
            return _from_document(made) if made else await self.get(version.template_id, version.version, version.tenant_id)
        await self._outbox.publish_after_write(self._open(), document)
        return version

    async def get(self, template_id: str, version: int, tenant_id: str) -> TemplateVersion:
        """This customer's. Raises NotFound, also for another customer's."""
        document = await self._open().get(_id(template_id, version), linearizable=True)
        if document is None or document["tenant_id"] != tenant_id:
            raise _not_found(template_id, version)
        return _from_document(document)

    async def page(self, tenant_id: str, *, after: str, limit: int) -> tuple[list[TemplateVersion], str]:
        """(oldest templates first, each one's versions together; the token of the next page, "" at the end)."""
        found = await self._open().find("tenant_id", tenant_id, after=after, limit=limit)
        return [*map(_from_document, found)], found[-1]["_id"] if len(found) == limit else ""

    async def change(
        self, template_id: str, version: int, tenant_id: str, change: Callable[[TemplateVersion], TemplateVersion], actor: Actor
    ) -> TemplateVersion:
        """Reads, changes and writes until nobody came in between. `change` returns its argument where there is nothing to do.
        Raises NotFound."""

        def to(document: Document) -> Document | None:
            if document["tenant_id"] != tenant_id:
                raise _not_found(template_id, version)
            before = _from_document(document)
            after = change(before)
            if after is before:
                return None
            sequence = document["revision"] + 1
            return self._announced(document | _to_document(after) | {"revision": sequence}, after, actor, sequence)

        found = await self._outbox.revise(self._open(), _id(template_id, version), to)
        if found is None:
            raise _not_found(template_id, version)
        return _from_document(found[1])

    def _announced(self, document: Document, version: TemplateVersion, actor: Actor, sequence: int) -> Document:
        event = new_event(
            TEMPLATE_CHANGED,
            changed(version, actor),
            source="sending",
            subject=document["_id"],
            sequence=sequence,
            tenant_id=version.tenant_id,
        )
        return add_to_outbox(document, [to_record(event, TEMPLATES, partition_of(version.template_id, self._partitions()))])


def _not_found(template_id: str, version: int) -> NotFound:
    return NotFound(f"There is no version {version} of a template {template_id}.")


def _id(template_id: str, version: int) -> str:
    return f"{template_id}.{version:04d}"


def _to_document(version: TemplateVersion) -> Document:
    return {
        "_id": _id(version.template_id, version.version),
        "template_id": version.template_id,
        "version": version.version,
        "tenant_id": version.tenant_id,
        "name": version.name,
        "class": version.template_class.value,
        "states": list(version.states),
        "template": [version.template.subject, version.template.html, version.template.text],
        "images": images_to_document(version.template),
        "written_by": [version.written_by.actor, version.written_by.credential_id],
        "created_at_us": version.created_at_us,
        "status": version.status.value,
        "approved_by": version.approved_by,
        "approved_at_us": version.approved_at_us,
        "retired_at_us": version.retired_at_us,
        "revision": 1,
    }


def _from_document(document: Document) -> TemplateVersion:
    return TemplateVersion(
        template_id=document["template_id"],
        version=document["version"],
        tenant_id=document["tenant_id"],
        name=document["name"],
        template_class=Class(document["class"]),
        states=tuple(document["states"]),
        template=template_from_document(document),
        written_by=Who(*document["written_by"]),
        created_at_us=document["created_at_us"],
        status=Status(document["status"]),
        approved_by=document["approved_by"],
        approved_at_us=document["approved_at_us"],
        retired_at_us=document["retired_at_us"],
    )
