"""Asking for a report pins the checkpoint below which it is read: what comes later changes nothing in it."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace

from postlaw_audit.notes import parse_note
from postlaw_audit.reader import LogReader
from postlaw_audit.reports.covering import Covering
from postlaw_audit.reports.documents import Reports
from postlaw_audit.reports.kinds import KINDS
from postlaw_audit.reports.report import Report
from postlaw_audit.search.searching import Search
from postlaw_audit.witness_policy import Policy, cosigned_by, witnesses_of
from postlaw_common.errors import Conflict, FieldError, Invalid
from postlaw_common.ids import new_id
from postlaw_common.store import VersionConflict

USUAL_RANGE_US = 30 * 86_400_000_000
USUAL_SAMPLE, LARGEST_SAMPLE = 25, 200


class Asking:
    """`policy`: whose cosignatures make a checkpoint witnessed. `ready` is called once there is a report to be made; `forget` deletes what
    one has made so far."""

    def __init__(
        self,
        reports: Reports,
        reader: LogReader,
        policy: Callable[[], Policy],
        now_us: Callable[[], int],
        ready: Callable[[], None],
        forget: Callable[[Report], Awaitable[None]],
        covering: Covering,
        search: Search,
    ) -> None:
        self._reports = reports
        self._reader = reader
        self._policy = policy
        self._now_us = now_us
        self._ready = ready
        self._forget = forget
        self._covering = covering
        self._search = search

    async def ask(
        self,
        tenant_id: str,
        kind: str,
        since_us: int,
        until_us: int,
        *,
        by: str,
        seed: str = "",
        sample_size: int = 0,
        idempotency_key: str = "",
    ) -> Report:
        """0 stands for the usual. Raises Invalid, KeyReused, Unavailable while the log has no checkpoint, or one that does not cover
        the range yet."""
        now_us = self._now_us()
        asked = (kind, str(since_us), str(until_us), seed, str(sample_size))
        until_us = until_us or now_us
        since_us = since_us or until_us - USUAL_RANGE_US
        wrong: list[FieldError] = []
        if kind not in KINDS:
            wrong.append(FieldError("kind", f"must be one of {', '.join(KINDS)}"))
        if until_us > now_us:
            wrong.append(FieldError("until", "must not be in the future: what is still to come is in no checkpoint"))
        if since_us >= until_us:
            wrong.append(FieldError("since", "must be before until"))
        if not 0 <= sample_size <= LARGEST_SAMPLE:
            wrong.append(FieldError("sample_size", f"must be {LARGEST_SAMPLE} at most"))
        if wrong:
            raise Invalid("This is no report that can be made.", fields=wrong)
        await self._covering.covered(until_us)
        _, note = await self._reader.checkpoint()
        report = Report(
            tenant_id=tenant_id,
            report_id=new_id("rep"),
            kind=kind,
            since_us=since_us,
            until_us=until_us,
            seed=seed or secrets.token_hex(8),
            sample_size=sample_size or USUAL_SAMPLE,
            checkpoint_note=note,
            witnesses=witnesses_of(note, self._policy()),
            requested_by=by,
            requested_us=now_us,
        )
        made = await self._reports.insert(await self._witnessed(report), idempotency_key, asked)
        self._ready()
        return made

    async def cancel(self, tenant_id: str, report_id: str) -> Report:
        """Raises NotFound; Conflict where it is at its end already."""
        while True:
            kept = await self._reports.get(tenant_id, report_id)
            if kept.report.state == "cancelled":
                return kept.report
            if not kept.report.open:
                raise Conflict(f"This report is {kept.report.state} already.", type="report-ended")
            try:
                cancelled = await self._reports.save(kept, replace(kept.report, state="cancelled", finished_us=self._now_us()))
            except VersionConflict:
                continue
            await self._forget(cancelled.report)
            return cancelled.report

    async def _witnessed(self, report: Report) -> Report:
        """Below the checkpoint that enough witnesses have cosigned since the range ended, where that has all of its events: it may have
        been signed, and an event entered, while they were asked. Else as it is, below the newest."""
        policy, found = self._policy(), await self._reader.witnessed(0)
        if report.witnesses or found is None:
            return report
        (checkpoint, note), by = found, cosigned_by(parse_note(found[1]), policy)
        if not policy.satisfied(by) or min(by.values()) * 1_000_000 < report.until_us:
            return report
        newest = (await self._search(report.question, 1)).events
        if newest and newest[0][0].index >= checkpoint.size:
            return report
        return replace(report, checkpoint_note=note, witnesses=sorted(by))
