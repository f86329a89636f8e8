"""The log as OCSF, from its files alone, an event at a time."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from google.protobuf.message import DecodeError

from postlaw_audit.domain.tiles import GrowingTree
from postlaw_audit.key_chain import key_chain
from postlaw_audit.ocsf.mapping import ocsf_of
from postlaw_audit.search.events import Joined
from postlaw_audit.sources import CHECKPOINT, LogFiles, LogUnreadable
from postlaw_audit.verifying import LogInvalid, bundles


async def exported(files: LogFiles, key: str, *, tenant_id: str = "", since: int = 0) -> AsyncGenerator[dict[str, Any]]:
    """Each event whose last entry is at `since` or above it, oldest first; `tenant_id`: of this customer alone. `key`: one of the log's,
    in note format.

    Whatever is exported is below the signed checkpoint: that is known once all of it was read. Raises LogInvalid then where the entries do
    not lead to it, NoteInvalid, LogUnreadable."""
    note = await files.get(CHECKPOINT)
    if note is None:
        raise LogUnreadable("the log has no checkpoint yet")
    checkpoint, _ = (await key_chain(files, key)).open(note.decode(errors="replace"))
    tree, joined = GrowingTree(), Joined()
    async with aclosing(bundles(files, checkpoint.size)) as pages:
        async for entries in pages:
            first = tree.size
            tree.append(entries)
            for index, piece in enumerate(entries, first):
                try:
                    event = joined.take(index, piece)
                except (DecodeError, ValueError) as wrong:
                    raise LogInvalid(f"entry {index} is no entry of ours") from wrong
                if event is not None and index >= since and tenant_id in ("", event.entry.tenant_id):
                    yield ocsf_of(event)
    if tree.root() != checkpoint.root:
        raise LogInvalid(f"the entries do not lead to the root of the checkpoint at size {checkpoint.size}")
