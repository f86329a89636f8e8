"""From entries of the log to the records that stood on the bus: the way back from entries.py."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw_audit.sources import BlobFiles
from postlaw_audit.verifying import bundles, verify_log
from postlaw_common.blobs import Blobs
from postlaw_common.bus import Received


async def verified_records(blobs: Blobs, topic: str) -> AsyncGenerator[list[Received]]:
    """What the log holds of a topic, in the order in which it entered it; of the headers the event's id alone.

    The whole log is verified first, so it is read twice: whoever reads must never work on what somebody has changed. Raises as
    `verify_log`."""
    files = BlobFiles(blobs)
    size = (await verify_log(files)).checkpoint.size
    pieces: dict[int, bytes] = {}  # by partition: of a record that became several entries, those so far
    async with aclosing(bundles(files, size)) as reading:
        async for bundle in reading:
            page: list[Received] = []
            for entry in map(audit.Entry.FromString, bundle):
                if entry.topic != topic:
                    continue
                data = pieces.pop(entry.partition, b"") + entry.data
                part, _, parts = entry.context.get("part", "").partition("/")
                if part != parts:
                    pieces[entry.partition] = data
                    continue
                headers = {"ce_id": entry.event_id.encode()}
                page.append(Received(topic, entry.partition, entry.offset, data, None, headers, entry.time_us))
            yield page
