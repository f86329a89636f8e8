"""Runs imports in the background: one process at a time runs a job, and whoever takes it up goes on at its last checkpoint.

A runner holds a job by (owner, epoch): every write of the job's document is at the version that it read, so a runner that was thought
dead and taken over cannot write again. Time only decides when a runner counts as dead: its document unchanged for one lease, on the
observer's own clock.

Longer than most by a page: it is one job, told from its beginning to its end.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import replace

from postlaw_common.blobs import BlobsUnavailable
from postlaw_common.bus import BusUnavailable, Record
from postlaw_common.caller import Caller
from postlaw_common.crypto import SealBroken
from postlaw_common.errors import DeadlineExceeded, RateLimited, Unavailable
from postlaw_common.foreground import step_aside
from postlaw_common.keys import KeysUnavailable
from postlaw_common.store import Document, StoreUnavailable, VersionConflict
from postlaw_common.telemetry import get_logger, meter
from postlaw_common.telemetry.gauges import Gauge
from postlaw_subscribers.domain.csv_header import BadHeader, Header, read_header
from postlaw_subscribers.domain.csv_rows import Row, RowReader
from postlaw_subscribers.domain.digest import Algorithm
from postlaw_subscribers.domain.import_job import Checkpoint, ImportJob, Outcome, State
from postlaw_subscribers.jobs import OpenJob
from postlaw_subscribers.refused_rows import lines
from postlaw_subscribers.rooms import ConsentLedger, Consents, Rooms, SuppressionLedger
from postlaw_subscribers.uploads import Truncated
from postlaw_subscribers.use_cases.flag_addresses import flag_addresses
from postlaw_subscribers.use_cases.go_through_people import go_through
from postlaw_subscribers.use_cases.import_batch import TOGETHER, Candidate, ImportSource, Result, judge, store_new, stretches
from postlaw_subscribers.use_cases.keep_digests import keep_digests
from postlaw_subscribers.use_cases.known_rows import take_known
from postlaw_subscribers.use_cases.meet_suppressions import Entrance
from postlaw_subscribers.use_cases.row_consents import consents_of, record_consents
from postlaw_subscribers.use_cases.suppress_rows import suppress_rows

OUTAGES = (StoreUnavailable, BusUnavailable, BlobsUnavailable, KeysUnavailable, Unavailable, DeadlineExceeded, RateLimited)
ENOUGH_ROWS = 6000  # rows between two checkpoints: more where they are short, since a batch ends with a frame of the upload
ENOUGH_BYTES = 1 << 20

Acting = Callable[[ImportJob], AbstractAsyncContextManager[Caller]]
Ledger = Callable[[ImportJob], tuple[ConsentLedger, bytes]]
Suppressions = Callable[[ImportJob], SuppressionLedger]

_log = get_logger(__name__)
_rows = meter("postlaw.subscribers").create_counter(
    "postlaw.subscribers.import.rows",
    unit="{row}",
    description="Rows of imports, by outcome (added, updated, unchanged, suppressed, already_suppressed, digest_kept, refused)",
)
_finished = meter("postlaw.subscribers").create_counter(
    "postlaw.subscribers.imports.finished", unit="{import}", description="Imports that came to an end: done, failed, unreadable"
)
_running = Gauge("postlaw.subscribers.imports.running", "{import}", "Imports that this process runs")
_waits = meter("postlaw.subscribers").create_counter(
    "postlaw.subscribers.import.waits", unit="{try}", description="Steps of imports that found a part away and are tried again"
)


class ImportRunner:
    """`acting(job)`: a context in which calls are made for the job's customer. `ledger(job)`: (where consent goes, the attestation).
    `suppressions(job)`: where the rows of a suppression list go."""

    def __init__(
        self,
        rooms: Rooms,
        acting: Acting,
        ledger: Ledger,
        suppressions: Suppressions,
        *,
        at_once: int = 2,
        lease_s: float = 10.0,
        poll_s: float = 1.0,
    ) -> None:
        self.wake = asyncio.Event()
        self._rooms = rooms
        self._acting = acting
        self._ledger = ledger
        self._suppressions = suppressions
        self._at_once = at_once
        self._lease_s = lease_s
        self._poll_s = poll_s
        self._owner = uuid.uuid4().hex
        self._running: dict[str, asyncio.Task[None]] = {}
        self._seen: dict[str, tuple[int, float]] = {}  # of jobs that others run: the version last seen, and when

    async def run(self) -> None:
        """Until cancelled; what is under way then is taken up again by whoever comes next."""
        forget = _running.add(lambda: len(self._running))
        _finished.add(0, {"state": State.FAILED.value})
        try:
            while True:
                with suppress(*OUTAGES):
                    await self._take_up()
                with suppress(TimeoutError):
                    # Not wait_for: in Python 3.11 it swallows a cancellation that comes together with the event.
                    async with asyncio.timeout(self._poll_s):
                        await self.wake.wait()
                self.wake.clear()
        finally:
            forget()
            for task in self._running.values():
                task.cancel()
            await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _take_up(self) -> None:
        documents = await self._rooms.jobs.waiting()
        self._seen = {id: seen for id, seen in self._seen.items() if any(document["_id"] == id for document in documents)}
        for document in documents:
            if len(self._running) >= self._at_once:
                return
            if document["_id"] in self._running or not self._is_free(document):
                continue
            opened = await self._rooms.jobs.open(document)
            job = replace(opened.job, state=State.RUNNING, owner=self._owner, epoch=opened.job.epoch + 1)
            with suppress(VersionConflict):
                task = asyncio.create_task(self._run_one(await self._rooms.jobs.save(opened, job)), name=f"import {job.import_id}")
                self._running[document["_id"]] = task
                task.add_done_callback(lambda _, id=document["_id"]: self._ended(id))

    def _is_free(self, document: Document) -> bool:
        if not document["owner"]:
            return True
        version, since = self._seen.get(document["_id"], (0, 0.0))
        if version != document["v"]:
            self._seen[document["_id"]] = (document["v"], time.monotonic())
            return False
        return time.monotonic() - since > self._lease_s

    def _ended(self, id: str) -> None:
        self._running.pop(id, None)
        self.wake.set()

    async def _run_one(self, opened: OpenJob) -> None:
        run = _Run(self._rooms, self._acting, self._ledger(opened.job), self._suppressions(opened.job), opened, self._lease_s)
        try:
            await run.to_the_end()
        except VersionConflict:
            _log.info("import was taken over or cancelled", import_id=opened.job.import_id)
        except (BadHeader, Truncated) as failure:
            await run.finish(State.FAILED, str(failure), counted="unreadable")  # the file's fault, not ours
        except OUTAGES as failure:
            _log.warning("import waits to be taken up again", import_id=opened.job.import_id, failure=failure)
        except Exception as failure:
            _log.error("import failed", import_id=opened.job.import_id, exc_info=failure)
            row = run.opened.job.checkpoint.next_row
            text = "its key is gone or a sealed part was changed" if isinstance(failure, SealBroken) else "something failed on our side"
            with suppress(*OUTAGES, VersionConflict):
                await run.finish(State.FAILED, f"The import stopped before row {row}: {text}. What was taken stays. Resume it.")


class _Run:
    """One job in this process's hands."""

    def __init__(
        self,
        rooms: Rooms,
        acting: Acting,
        ledger: tuple[ConsentLedger, bytes],
        suppressions: SuppressionLedger,
        opened: OpenJob,
        lease_s: float,
    ) -> None:
        self.opened = opened
        self._rooms = rooms
        self._acting = acting
        self._ledger, self._attestation = ledger
        self._suppressions = suppressions
        self._lease_s = lease_s
        self._people_left = False
        self._writing = asyncio.Lock()  # the job's document

    async def to_the_end(self) -> None:
        job = self.opened.job
        header = read_header(await self._start_of_text(), job.settings.columns, of_digests=job.settings.suppress_format != "address")
        if not job.names:
            checkpoint = Checkpoint(header.end, 2) if job.checkpoint.offset < header.end else job.checkpoint
            await self._save(replace(job, names=header.names, checkpoint=checkpoint))
        async for rows, checkpoint in self._batches(header):
            await self._persist(lambda rows=rows, checkpoint=checkpoint: self._take(header, rows, checkpoint))
        if (algorithm := job.settings.suppress_format) != "address":
            self._people_left = True
            while self._people_left:
                await self._persist(lambda: self._go_through_people(algorithm))
        await self._persist(lambda: self.finish(State.DONE))

    async def finish(self, state: State, failure: str = "", *, counted: str = "") -> None:
        job = self.opened.job.moved_to(state, now_us=self._rooms.now_us(), failure=failure)
        resumable = state is State.FAILED and job.checkpoint.counts.rows > 0
        if not resumable:  # like the upload, what many rows share is kept only for as long as the job needs it
            job = replace(job, checkpoint=replace(job.checkpoint, tallies={}))
        await self._save(job, [self._rooms.events.import_finished(job)])
        await self._rooms.outbox.publish_after_write(self._rooms.jobs.documents, self.opened.document)
        _finished.add(1, {"state": counted or state.value})
        if not resumable:
            await self._rooms.uploads.remove(job.tenant_id, job.import_id)
            await self._rooms.jobs.forget_rows(job.import_id)

    async def _start_of_text(self) -> bytes:
        async for frame in self._text(0):
            return frame
        return b""

    def _text(self, start: int) -> AsyncIterator[bytes]:
        job = self.opened.job
        return self._rooms.uploads.read(job.tenant_id, job.import_id, self.opened.sealer, stored=job.stored, start=start)

    async def _batches(self, header: Header) -> AsyncIterator[tuple[list[Row], Checkpoint]]:
        """Rows, and the checkpoint that is reached once they are done with (its counts are still to come)."""
        at = self.opened.job.checkpoint
        reader = RowReader(header.delimiter, offset=at.offset, next_number=at.next_row)
        rows: list[Row] = []
        read = 0
        async for frame in self._text(at.offset):
            rows += reader.feed(frame)
            read += len(frame)
            if len(rows) >= ENOUGH_ROWS or read >= ENOUGH_BYTES:
                yield rows, Checkpoint(reader.offset, reader.next_number)
                rows, read = [], 0
            await step_aside()
        rows += reader.feed(b"", last=True)
        yield rows, Checkpoint(reader.offset, reader.next_number)

    async def _take(self, header: Header, rows: Sequence[Row], reached: Checkpoint) -> None:
        """Everything of one batch, then the checkpoint. Safe to repeat."""
        job = self.opened.job
        source = ImportSource(
            tenant_id=job.tenant_id,
            import_id=job.import_id,
            list_id=job.settings.list_id,
            header=header,
            index=await self._rooms.index(job.tenant_id),
            wrapping=await self._rooms.person_keys.wrapping(job.tenant_id),
            placement=self._rooms.placement(),
            now_us=self._rooms.now_us(),
            attested=job.settings.consent,
            attestation=self._attestation,
            encode=self._rooms.members.encode,
        )
        result = Result()
        async with self._acting(job):
            if job.settings.suppress_source:
                for start in range(0, len(rows), TOGETHER):
                    await self._suppress(source, rows[start : start + TOGETHER], result)
            else:
                await self._add(source, rows, result)
        if result.refusals or result.warned:
            first_row = job.checkpoint.next_row
            ordered = sorted((*result.refusals, *result.warned), key=lambda refusal: refusal.row)
            await self._rooms.uploads.put_errors(job.tenant_id, job.import_id, self.opened.sealer, first_row, lines(ordered))
        reasons: dict[str, int] = {}
        for refusal in result.refusals:
            reasons[refusal.reason] = reasons.get(refusal.reason, 0) + 1
        counts = job.checkpoint.counts.plus(result.taken, reasons, result.warnings)
        tallies, flags = job.checkpoint.seen(result.values)
        reached = replace(reached, counts=counts, tallies=tallies, flags=flags, people=job.checkpoint.people)
        await self._checkpoint(replace(job, checkpoint=reached, beat=job.beat + 1))
        for outcome, number in result.taken.items():
            _rows.add(number, {"outcome": outcome.value})
        if result.refusals:
            _rows.add(len(result.refusals), {"outcome": "refused"})

    async def _suppress(self, source: ImportSource, rows: Sequence[Row], result: Result) -> None:
        """Nobody of a suppression list is taken, and no consent of theirs."""
        algorithm = self.opened.job.settings.suppress_format
        if algorithm == "address":
            await suppress_rows(self._rooms, self._suppressions, source, rows, result)
        else:
            await keep_digests(self._rooms, source, algorithm, rows, result)

    async def _add(self, source: ImportSource, rows: Sequence[Row], result: Result) -> None:
        """Judged all together and stored in parts, each a stretch of address keys: whatever the batch writes into one page of an index,
        it writes at once."""
        candidates = await judge(source, rows, result)
        entrance = Entrance(self._rooms, source.tenant_id)
        await entrance.look()
        recording: asyncio.Task[None] | None = None
        try:
            for part in stretches(candidates, TOGETHER):
                consents = await self._store(source, part, entrance, result)
                if recording is not None:
                    await recording
                # Consent's store is another one: it takes these while ours takes the next.
                recording = asyncio.create_task(record_consents(self._ledger, source, consents, result))
            if recording is not None:
                await recording
        finally:
            if recording is not None:
                recording.cancel()
                await asyncio.gather(recording, return_exceptions=True)

    async def _store(self, source: ImportSource, candidates: Sequence[Candidate], entrance: Entrance, result: Result) -> Consents:
        """The consents of everyone who is taken."""
        await entrance.meet(candidates)  # before there are copies, by which they could be mailed
        taken, known = await store_new(self._rooms, source, candidates)
        result.took(Outcome.ADDED, len(taken))
        if known:
            taken |= await take_known(self._rooms, source, known, result)
        await entrance.look()
        await entrance.meet(candidates)  # by digests that came while they were written
        flag_addresses(source, candidates, taken, result)
        return await consents_of(source, candidates, taken, result)

    async def _go_through_people(self, algorithm: Algorithm) -> None:
        """One page of the customer's people, then the checkpoint. Safe to repeat."""
        job = self.opened.job
        people = await go_through(self._rooms, job.tenant_id, job.import_id, algorithm, job.checkpoint.people)
        if people is None:
            self._people_left = False
        else:
            await self._checkpoint(replace(job, checkpoint=replace(job.checkpoint, people=people), beat=job.beat + 1))

    async def _checkpoint(self, job: ImportJob) -> None:
        """Writes what is done. A job that was cancelled meanwhile keeps its state, and counts its last batch all the same."""
        try:
            await self._save(job)
        except VersionConflict:
            while (now := await self._rooms.jobs.get(job.tenant_id, job.import_id)) is not None:
                if now.job.state is State.CANCELLED and now.job.epoch == job.epoch:
                    with suppress(VersionConflict):  # its outbox was cleared meanwhile, or somebody resumes it
                        await self._rooms.jobs.save(now, replace(now.job, checkpoint=job.checkpoint))
                        break
                else:
                    break
            raise

    async def _save(self, job: ImportJob, events: list[Record] | None = None) -> None:
        """Raises VersionConflict once the job was taken over or cancelled."""
        async with self._writing:
            await self._write(job, events)

    async def _write(self, job: ImportJob, events: list[Record] | None = None) -> None:
        """Also where its outbox alone was cleared meanwhile, or a sign of life was written whose writer did not hear of it."""
        while True:
            try:
                self.opened = await self._rooms.jobs.save(self.opened, job, events)
            except VersionConflict:
                now = await self._rooms.jobs.get(job.tenant_id, job.import_id)
                if now is None or now.job.epoch != job.epoch or now.job.state is not State.RUNNING:
                    raise
                self.opened = now
                continue
            return

    async def _persist(self, step: Callable[[], Awaitable[None]]) -> None:
        """Repeats a step for as long as a part that it needs is away, and shows meanwhile that this runner lives."""
        living = asyncio.create_task(self._show_life())
        try:
            await self._repeat(step, living)
        finally:
            living.cancel()
            await asyncio.gather(living, return_exceptions=True)

    async def _show_life(self) -> None:
        """A step may last longer than a lease where a store is slow: others would take the job up by turns, and it would never end."""
        while self.opened.job.state is State.RUNNING:
            await asyncio.sleep(self._lease_s / 4)
            async with self._writing:
                job = self.opened.job
                if job.state is State.RUNNING:
                    with suppress(*OUTAGES):
                        await self._write(replace(job, beat=job.beat + 1))

    async def _repeat(self, step: Callable[[], Awaitable[None]], living: asyncio.Task[None]) -> None:
        pause = 0.2
        while True:
            try:
                return await step()
            except OUTAGES as failure:
                _waits.add(1)
                _log.warning("import waits for a part that is away", import_id=self.opened.job.import_id, failure=failure)
            await asyncio.sleep(pause)
            pause = min(2 * pause, self._lease_s / 4)
            if living.done():
                await living  # the job was taken over or cancelled meanwhile: VersionConflict
