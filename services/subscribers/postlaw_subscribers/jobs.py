"""Imports as documents: `_id` = tenant/import id; what the customer told us (file name, who attests) is sealed under the import's own key.

`waiting` is set while a job is queued or running: by it the runners of all processes find their work.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, replace

import msgspec

from postlaw_common.bus import Record
from postlaw_common.crypto import Sealer
from postlaw_common.keys.customer import CustomerKeys
from postlaw_common.made_once import MADE_UNDER, RequestKey, refuse_another
from postlaw_common.ordered_text import to_text
from postlaw_common.outbox import OUTBOX_INDEX, add_to_outbox
from postlaw_common.store import AlreadyExists, Collection, CollectionSpec, Document, Index, Store
from postlaw_common.store.bulk import bulk_delete
from postlaw_subscribers.domain.import_job import Checkpoint, Counts, GoneThrough, ImportJob, Settings, State
from postlaw_subscribers.domain.sameness import Flag, Tallies, Tally

IMPORTS = CollectionSpec("imports", (OUTBOX_INDEX, Index("waiting"), MADE_UNDER))
ROW_MARKS = CollectionSpec("import_rows", (Index("import_id"),), packed=True)
WAITING = "1"

_PURPOSE = "imports"
_encode = msgspec.msgpack.Encoder().encode
_names = msgspec.msgpack.Decoder(tuple[str, ...]).decode
_settings = msgspec.msgpack.Decoder(Settings).decode
_tallies = msgspec.msgpack.Decoder(dict[str, Tally]).decode


@dataclass(frozen=True, slots=True)
class OpenJob:
    """A job with its key at hand, and the document that it was read from."""

    job: ImportJob
    sealer: Sealer
    document: Document


class Jobs:
    def __init__(self, store: Store, customer_keys: CustomerKeys) -> None:
        self._store = store
        self._customer_keys = customer_keys

    @property
    def documents(self) -> Collection:
        return self._store.collection(IMPORTS.name)

    async def prepare(self, tenant_id: str, import_id: str) -> tuple[Sealer, bytes]:
        """A fresh key for an import: (its sealer, the wrapped key)."""
        version, wrapping = await self._customer_keys.get(tenant_id, _PURPOSE)
        key = os.urandom(32)
        return Sealer(key), version.to_bytes(4, "big") + Sealer(wrapping).seal(key, _place(tenant_id, import_id, b"key"))

    async def insert(
        self, job: ImportJob, sealer: Sealer, wrapped: bytes, events: list[Record], request: RequestKey, file_hash: bytes
    ) -> OpenJob:
        """The new job, or the one that the request's key made of the same file before. Raises KeyReused."""
        asked = _encode(job.settings) + file_hash
        document: Document = {
            "_id": f"{job.tenant_id}/{job.import_id}",
            "tenant_id": job.tenant_id,
            "import_id": job.import_id,
            "key": wrapped,
            "settings": sealer.seal(_encode(job.settings), _place(job.tenant_id, job.import_id, b"settings")),
            "received": job.received,
            "stored": job.stored,
            "created_us": job.created_us,
            "created_by": job.created_by,
            **request.note(sealer.seal(asked, _place(job.tenant_id, job.import_id, b"asked"))),
            **_moving(job),
        }
        try:
            await self.documents.insert(add_to_outbox(document, events))
        except AlreadyExists:
            earlier = await request.found(self.documents)
            if earlier is None:
                raise
            opened = await self._open(earlier)
            place = _place(opened.job.tenant_id, opened.job.import_id, b"asked")
            refuse_another(opened.sealer.open(earlier["asked"], place), asked)
            return opened
        return OpenJob(replace(job, version=1), sealer, document | {"v": 1})

    async def get(self, tenant_id: str, import_id: str) -> OpenJob | None:
        document = await self.documents.get(f"{tenant_id}/{import_id}", linearizable=True)
        return await self._open(document) if document else None

    async def waiting(self) -> list[Document]:
        """Documents of jobs that are queued or running, at most 200."""
        return await self.documents.find("waiting", WAITING, limit=200)

    async def open(self, document: Document) -> OpenJob:
        return await self._open(document)

    async def save(self, opened: OpenJob, job: ImportJob, events: list[Record] | None = None) -> OpenJob:
        """Replaces the job at the version it was read at. Raises VersionConflict."""
        kept = {name: value for name, value in opened.document.items() if name != "waiting"}
        if job.names != opened.job.names:
            kept["names"] = opened.sealer.seal(_encode(job.names), _place(job.tenant_id, job.import_id, b"names"))
        if not job.checkpoint.tallies:
            kept.pop("tallies", None)
        elif job.checkpoint.tallies != opened.job.checkpoint.tallies:
            kept["tallies"] = opened.sealer.seal(_encode(job.checkpoint.tallies), _place(job.tenant_id, job.import_id, b"tallies"))
        document = add_to_outbox(kept | _moving(job), events or [])
        saved = await self.documents.replace(document, version=opened.document["v"])
        return OpenJob(replace(job, version=saved["v"]), opened.sealer, saved)

    async def mark_rows(self, import_id: str, marks: dict[bytes, tuple[int, str]]) -> dict[bytes, tuple[int, str]]:
        """Notes for each address key (row, outcome), unless the import noted one already; returns those earlier notes."""
        collection = self._store.collection(ROW_MARKS.name)
        documents = {
            address_key: {"_id": f"{import_id}/{to_text(address_key)}", "import_id": import_id, "row": row, "outcome": outcome}
            for address_key, (row, outcome) in marks.items()
        }
        there = await collection.insert_many(list(documents.values()))
        earlier = await collection.get_many(sorted(there)) if there else {}
        keys = {str(document["_id"]): address_key for address_key, document in documents.items()}
        return {keys[id]: (document["row"], document["outcome"]) for id, document in earlier.items()}

    async def forget_rows(self, import_id: str) -> None:
        await bulk_delete(self._store.collection(ROW_MARKS.name), "import_id", import_id)

    async def _open(self, document: Document) -> OpenJob:
        tenant_id, import_id = document["tenant_id"], document["import_id"]
        _, wrapping = await self._customer_keys.get(tenant_id, _PURPOSE, int.from_bytes(document["key"][:4], "big"))
        sealer = Sealer(Sealer(wrapping).open(document["key"][4:], _place(tenant_id, import_id, b"key")))
        settings = _settings(sealer.open(document["settings"], _place(tenant_id, import_id, b"settings")))
        counts = Counts(**document["counts"])
        tallies: Tallies = {}
        if document.get("tallies"):
            tallies = _tallies(sealer.open(document["tallies"], _place(tenant_id, import_id, b"tallies")))
        flags = tuple(Flag(**flag) for flag in document.get("flags", ()))
        people = GoneThrough(**document.get("people", {}))
        job = ImportJob(
            tenant_id=tenant_id,
            import_id=import_id,
            settings=settings,
            state=State(document["state"]),
            received=document["received"],
            stored=document["stored"],
            checkpoint=Checkpoint(document["offset"], document["next_row"], counts, tallies, flags, people),
            failure=document["failure"],
            created_us=document["created_us"],
            finished_us=document["finished_us"],
            created_by=document["created_by"],
            names=_names(sealer.open(document["names"], _place(tenant_id, import_id, b"names"))) if document.get("names") else (),
            owner=document["owner"],
            epoch=document["epoch"],
            beat=document["beat"],
            version=document["v"],
        )
        return OpenJob(job, sealer, document)


def _moving(job: ImportJob) -> Document:
    """What changes while a job lives."""
    counts = job.checkpoint.counts
    moving: Document = {
        "state": job.state.value,
        "offset": job.checkpoint.offset,
        "next_row": job.checkpoint.next_row,
        "counts": {
            "rows": counts.rows,
            "added": counts.added,
            "updated": counts.updated,
            "unchanged": counts.unchanged,
            "refused": counts.refused,
            "refused_by_reason": dict(counts.refused_by_reason),
            "warnings": dict(counts.warnings),
            "suppressed": counts.suppressed,
            "already_suppressed": counts.already_suppressed,
            "digests_kept": counts.digests_kept,
        },
        "people": asdict(job.checkpoint.people),
        "flags": [asdict(flag) for flag in job.checkpoint.flags],
        "failure": job.failure,
        "finished_us": job.finished_us,
        "owner": job.owner,
        "epoch": job.epoch,
        "beat": job.beat,
    }
    return moving | ({"waiting": WAITING} if job.state in (State.QUEUED, State.RUNNING) else {})


def _place(tenant_id: str, import_id: str, kind: bytes) -> bytes:
    return b"postlaw/import-job/1\0" + tenant_id.encode() + b"\0" + import_id.encode() + b"\0" + kind
