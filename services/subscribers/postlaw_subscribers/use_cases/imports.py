"""Take an upload, look at an import, cancel it, resume it, read its report. The work itself: run_import.py."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import replace

from postlaw_common.errors import Conflict, FieldError, Invalid, KeyReused, NotFound, TooLarge
from postlaw_common.ids import new_id
from postlaw_common.made_once import RequestKey
from postlaw_common.store import VersionConflict
from postlaw_subscribers.domain.import_job import Checkpoint, ImportJob, Settings, State
from postlaw_subscribers.jobs import OpenJob
from postlaw_subscribers.refused_rows import header_line
from postlaw_subscribers.rooms import Rooms
from postlaw_subscribers.uploads import FRAME, WrongEncoding, known_encoding
from postlaw_subscribers.use_cases.lists import get_list


async def create_import(
    rooms: Rooms,
    tenant_id: str,
    settings: Settings,
    created_by: str,
    chunks: AsyncIterable[bytes],
    *,
    idempotency_key: str,
    max_bytes: int,
    wake: asyncio.Event,
) -> ImportJob:
    """Stores the upload and queues the job; or answers with the import that this key made of the same file before. A file in a
    wrong encoding is refused whole: the job says why.

    Raises Invalid, NotFound (the list), TooLarge, KeyReused."""
    if not known_encoding(settings.encoding):
        names = "utf-8, utf-16, iso-8859-1 or windows-1252"
        raise Invalid("The encoding is not one that is taken.", fields=[FieldError("encoding", f"must be {names}")])
    if wrong := [FieldError(field, said) for field, said in settings.problems()]:
        raise Invalid("The settings do not go together, or are not in words that the law knows; see `fields`.", fields=wrong)
    if settings.list_id:
        await get_list(rooms, tenant_id, settings.list_id)
    import_id = new_id("imp")
    sealer, wrapped = await rooms.jobs.prepare(tenant_id, import_id)
    state, failure = State.QUEUED, ""
    received = stored = 0
    file_hash = hashlib.blake2b(digest_size=16)
    upload = _bounded(chunks, max_bytes, file_hash)
    try:
        received, stored = await rooms.uploads.keep(tenant_id, import_id, sealer, settings.encoding, upload)
    except WrongEncoding as error:
        state, failure = State.FAILED, str(error)
        async for _ in upload:  # the hash is the whole file's
            pass
    now_us = rooms.now_us()
    job = ImportJob(
        tenant_id=tenant_id,
        import_id=import_id,
        settings=settings,
        state=state,
        received=received,
        stored=stored,
        checkpoint=Checkpoint(),
        failure=failure,
        created_us=now_us,
        finished_us=now_us if state.over else 0,
        created_by=created_by,
    )
    events = [rooms.events.import_changed(job, None), *([rooms.events.import_finished(job)] if state.over else [])]
    try:
        opened = await rooms.jobs.insert(job, sealer, wrapped, events, RequestKey(tenant_id, idempotency_key), file_hash.digest())
    except KeyReused:
        await rooms.uploads.remove(tenant_id, import_id)
        raise
    if opened.job.import_id != import_id:
        await rooms.uploads.remove(tenant_id, import_id)
        return opened.job
    await rooms.outbox.publish_after_write(rooms.jobs.documents, opened.document)
    wake.set()
    return opened.job


async def get_import(rooms: Rooms, tenant_id: str, import_id: str) -> ImportJob:
    """Raises NotFound, also for another customer's import."""
    return (await _get(rooms, tenant_id, import_id)).job


async def cancel_import(rooms: Rooms, tenant_id: str, import_id: str) -> ImportJob:
    """Rows that were taken stay. The batch under way is finished and counted a moment later. Raises NotFound, Conflict."""
    while True:
        opened = await _get(rooms, tenant_id, import_id)
        if opened.job.state is State.CANCELLED:
            return opened.job
        if opened.job.state.over:
            raise Conflict(f"The import is {opened.job.state.value} already.")
        with contextlib.suppress(VersionConflict):
            return await _move(rooms, opened, opened.job.moved_to(State.CANCELLED, now_us=rooms.now_us()))


async def resume_import(rooms: Rooms, tenant_id: str, import_id: str, wake: asyncio.Event) -> ImportJob:
    """Goes on after the last row that was counted. Raises NotFound, Conflict."""
    while True:
        opened = await _get(rooms, tenant_id, import_id)
        if opened.job.state in (State.QUEUED, State.RUNNING):
            return opened.job
        if opened.job.state is State.DONE or not await rooms.uploads.there(tenant_id, import_id):
            raise Conflict(f"The import is {opened.job.state.value} and has nothing left to do. Upload the file again.")
        with contextlib.suppress(VersionConflict):
            queued = replace(opened.job.moved_to(State.QUEUED, now_us=rooms.now_us()), owner="")
            saved = await _move(rooms, opened, queued)
            wake.set()
            return saved


async def import_errors(rooms: Rooms, tenant_id: str, import_id: str) -> AsyncIterator[bytes]:
    """The report of refused rows so far, as CSV. Raises NotFound."""
    opened = await _get(rooms, tenant_id, import_id)
    job = opened.job
    yield header_line(job.names)
    async for part in rooms.uploads.errors(tenant_id, import_id, opened.sealer, before_row=job.checkpoint.next_row):
        for start in range(0, len(part), FRAME):
            yield part[start : start + FRAME]


async def _move(rooms: Rooms, opened: OpenJob, job: ImportJob) -> ImportJob:
    """Raises VersionConflict."""
    saved = await rooms.jobs.save(opened, job, [rooms.events.import_changed(job, opened.job)])
    await rooms.outbox.publish_after_write(rooms.jobs.documents, saved.document)
    return saved.job


async def _get(rooms: Rooms, tenant_id: str, import_id: str) -> OpenJob:
    opened = await rooms.jobs.get(tenant_id, import_id)
    if opened is None:
        raise NotFound(f"There is no import {import_id}.")
    return opened


async def _bounded(chunks: AsyncIterable[bytes], max_bytes: int, file_hash: hashlib.blake2b) -> AsyncIterator[bytes]:
    seen = 0
    async for chunk in chunks:
        seen += len(chunk)
        if seen > max_bytes:
            raise TooLarge(f"The file is larger than {max_bytes} bytes. Split it.")
        file_hash.update(chunk)
        yield chunk
