"""An audit process that can be told where to die: `FAULTS_DIE_AT=commit:after:3` kills it right after its third commit of entries;
`FAULTS_PAUSE_AT` stops it there, as SIGSTOP does, until it is continued.

Points: `key` (the log's key is kept), `take` (its state, in the name of a new writer), `segment`, `commit`, `tile`, `index`,
`checkpoint`, and `sweep` (a segment is deleted). A writer that takes over passes `tile`, `index` and `checkpoint` for what the one before
left.
`FAULTS_LEASE_S` is how long a writer that stands still keeps the log, instead of five seconds.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from postlaw_audit import log_state
from postlaw_audit.index import EVENT_INDEX
from postlaw_audit.log_state import LOG_ID
from postlaw_audit.publishing import CHECKPOINT
from postlaw_audit.service import AuditSettings, build
from postlaw_audit.signing import LOG_KEYS
from postlaw_audit.sources import PREFIX
from postlaw_audit.writer import SEGMENTS
from postlaw_common.blobs.s3 import S3Blobs
from postlaw_common.runner import run_alone
from postlaw_common.settings import load
from postlaw_common.store.mongodb import MongoCollection
from tests.faults.death import Death

Document = dict[str, Any]
WRITTEN = {SEGMENTS: "segment", PREFIX + "tile/": "tile", CHECKPOINT: "checkpoint"}


def arm(death: Death) -> None:
    write, insert, insert_many = MongoCollection.replace, MongoCollection.insert, MongoCollection.insert_many
    put, delete = S3Blobs.put, S3Blobs.delete
    epoch = size = -1  # of the state that this process wrote last

    def of_the_state(document: Document) -> str:
        nonlocal epoch, size
        if document["_id"] != LOG_ID or not document["owner"]:
            return ""
        taken, entered = document["epoch"] != epoch, document["size"] != size
        epoch, size = document["epoch"], document["size"]
        return "take" if taken else "commit" if entered else ""

    def of(collection: MongoCollection, name: str, point: str) -> str:
        return point if vars(collection)["_name"] == name else ""

    async def dying_replace(self: MongoCollection, document: Document, *, version: int) -> Document:
        return await death.around(of_the_state(document), lambda: write(self, document, version=version))

    async def dying_insert(self: MongoCollection, document: Document) -> None:
        await death.around(of(self, LOG_KEYS.name, "key"), lambda: insert(self, document))

    async def dying_insert_many(self: MongoCollection, documents: Sequence[Document]) -> set[str]:
        return await death.around(of(self, EVENT_INDEX.name, "index"), lambda: insert_many(self, documents))

    async def dying_put(self: S3Blobs, key: str, data: bytes, **options: Any) -> None:
        point = next((point for start, point in WRITTEN.items() if key.startswith(start)), "")
        await death.around(point, lambda: put(self, key, data, **options))

    async def dying_delete(self: S3Blobs, key: str) -> None:
        await death.around("sweep" if key.startswith(SEGMENTS) else "", lambda: delete(self, key))

    MongoCollection.replace, MongoCollection.insert, MongoCollection.insert_many = dying_replace, dying_insert, dying_insert_many
    S3Blobs.put, S3Blobs.delete = dying_put, dying_delete


def run(environment: dict[str, str], log: str) -> None:
    """What such a process does: as `python -m postlaw_audit` with this environment. It writes to the file `log`."""
    opened = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(opened, 1)
    os.dup2(opened, 2)
    os.environ.update(environment)
    log_state.LEASE_S = float(environment.get("FAULTS_LEASE_S") or log_state.LEASE_S)
    for variable, number in (("FAULTS_DIE_AT", signal.SIGKILL), ("FAULTS_PAUSE_AT", signal.SIGSTOP)):
        if spec := environment.get(variable):
            arm(Death(spec, number))
    # Without its consumers: their groups wait ten seconds for each member that was killed, and with them the start of the next process.
    run_alone("audit", lambda platform: replace(build(platform, load(AuditSettings)), consumers=()))
