"""Forms as documents, by their id. None is ever deleted, and nothing changes of one but that it is retired. Both are announced in the
same write (postlaw_common.outbox)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from postlaw_common.bus import Topic
from postlaw_common.events import new_event, partition_of, to_record
from postlaw_common.made_once import MADE_UNDER, RequestKey
from postlaw_common.outbox import OUTBOX_INDEX, Outbox, add_to_outbox
from postlaw_common.store import Collection, CollectionSpec, Document, Index
from postlaw_consent.domain.form import Form, FormSender

FORMS = CollectionSpec("forms", (Index("tenant"), MADE_UNDER, OUTBOX_INDEX))
FORMS_CHANGED = Topic("postlaw.consent.forms.v1")
_TYPE = "postlaw.consent.FormChanged"

Encode = Callable[[Form | None, Form, int], bytes]
"""(before, after, version) → the event's bytes."""


class Forms:
    """`partitions`: the installation's count."""

    def __init__(self, collection: Callable[[], Collection], outbox: Outbox, encode: Encode, partitions: Callable[[], int]) -> None:
        self._collection = collection
        self._outbox = outbox
        self._encode = encode
        self._partitions = partitions

    async def insert(self, form: Form, request: RequestKey, asked: bytes) -> Form:
        """This form, or the one that the request's key made before. Raises KeyReused."""
        document = self._announced(_document_of(form) | request.note(asked), None, form, 1)
        if (made := await request.insert(self._collection(), document, asked)) is not None:
            return _form_of(made)
        await self._outbox.publish_after_write(self._collection(), document)
        return form

    async def get(self, form_id: str) -> Form | None:
        """Whoever's it is."""
        document = await self._collection().get(form_id)
        return _form_of(document) if document else None

    async def retire(self, form_id: str, now_us: int) -> Form | None:
        """As it is from then on; when it was retired before, nothing changes."""

        def to(document: Document) -> Document | None:
            if document.get("retired"):
                return None
            before = _form_of(document)
            return self._announced(document | {"retired": now_us}, before, replace(before, retired_us=now_us), 2)

        found = await self._outbox.revise(self._collection(), form_id, to)
        return _form_of(found[1]) if found else None

    def _announced(self, document: Document, before: Form | None, after: Form, version: int) -> Document:
        data = self._encode(before, after, version)
        event = new_event(_TYPE, data, source="consent", subject=after.form_id, sequence=version, tenant_id=after.tenant_id)
        return add_to_outbox(document, [to_record(event, FORMS_CHANGED.name, partition_of(after.form_id, self._partitions()))])

    async def page(self, tenant_id: str, after: str, limit: int) -> list[Form]:
        """Oldest first."""
        return list(map(_form_of, await self._collection().find("tenant", tenant_id, after=after, limit=limit)))


def _document_of(form: Form) -> Document:
    return {
        "_id": form.form_id,
        "tenant": form.tenant_id,
        "list": form.list_id,
        "list_name": form.list_name,
        "language": form.language,
        "wording": form.wording,
        "notice": form.digest,
        "sender": [form.sender.name, form.sender.address, form.sender.postal_address],
        "purposes": list(form.purposes),
        "double": form.double,
        "territories": list(form.territories),
        "without_ip": form.without_ip,
        "created": form.created_us,
        "brand": form.brand,
    }


def _form_of(document: Document) -> Form:
    return Form(
        form_id=document["_id"],
        tenant_id=document["tenant"],
        list_id=document["list"],
        list_name=document["list_name"],
        language=document["language"],
        wording=document["wording"],
        digest=document["notice"],
        sender=FormSender(*document["sender"]),
        purposes=tuple(document["purposes"]),
        double=document["double"],
        territories=tuple(document["territories"]),
        without_ip=document["without_ip"],
        created_us=document["created"],
        retired_us=document.get("retired", 0),
        brand=document.get("brand", ""),  # as before there were any
    )
