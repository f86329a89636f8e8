"""What the audit log holds of a topic, for commands of services that know nothing of the log."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from postlaw_audit.notes import NoteInvalid
from postlaw_audit.records import verified_records
from postlaw_audit.verifying import LogInvalid
from postlaw_common.blobs import BlobsUnavailable, open_blobs
from postlaw_common.bus import Received
from postlaw_common.settings import PlatformSettings, WrongSettings, load
from postlaw_consent.commands import LogUnusable


async def events_in_log(topic: str) -> AsyncGenerator[list[Received]]:
    """In pages, once the whole log has been verified. Raises LogUnusable."""
    try:
        settings = load(PlatformSettings)
        blobs = open_blobs(settings.blobs, state=str(settings.state))
        await blobs.start()
        try:
            async with aclosing(verified_records(blobs, topic)) as pages:
                async for page in pages:
                    yield page
        finally:
            await blobs.close()
    except (LogInvalid, NoteInvalid) as wrong:
        raise LogUnusable(f"the log is not valid: {wrong}") from wrong
    except (BlobsUnavailable, WrongSettings, OSError) as gone:
        raise LogUnusable(f"the log cannot be read: {gone}") from gone
