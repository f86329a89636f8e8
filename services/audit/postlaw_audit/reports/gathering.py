"""The rows of a report: every event that its query finds below the checkpoint, in files of a thousand, newest first.

What is written for a page follows from the log alone, so that whoever goes on after a crash writes the same again.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw_audit.domain.tiles import WIDTH
from postlaw_audit.reader import LogReader
from postlaw_audit.reports.kinds.kind import Row
from postlaw_audit.reports.report import Report
from postlaw_audit.search.events import Event
from postlaw_audit.search.indexing import Indexer
from postlaw_audit.search.searching import Search
from postlaw_common.blobs import Blobs
from postlaw_common.foreground import step_aside

A_PAGE = 1_000  # events


class Gathering:
    def __init__(self, search: Search, indexer: Indexer, reader: LogReader, blobs: Blobs) -> None:
        self._search = search
        self._indexer = indexer
        self._reader = reader
        self._blobs = blobs

    async def next_page(self, report: Report) -> tuple[Report, bool]:
        """The report one page on, and whether there are more. Raises Unavailable."""
        found = await self._search(report.question, A_PAGE)
        rows = [_or_index(report.of_kind.read(event), event) for event, _ in found.events]
        await self._blobs.put(_page(report, report.pages), json.dumps(rows).encode())
        before = found.events[-1][0].index if found.events else report.before
        return replace(report, before=before, pages=report.pages + 1, events=report.events + len(rows)), found.more

    async def rows(self, report: Report) -> AsyncGenerator[list[Row | int]]:
        """All of them, the oldest first, in pages; of an event that cannot be decoded its entry's index."""
        for number in reversed(range(report.pages)):
            data = await self._blobs.get(_page(report, number))
            assert data is not None, f"page {number} of {report.report_id} is gone"
            rows: Sequence[Row | int] = json.loads(data)
            yield [*reversed(rows)]

    async def forget_pages(self, report: Report, *, further: int = 0) -> None:
        """`further`: pages that were written and not noted."""
        for number in range(report.pages + further):
            await self._blobs.delete(_page(report, number))

    async def recount(self, report: Report) -> int:
        """How many events of the query the log itself holds: every entry is read, the index only says where the range may begin and end.
        -1 where that would be more entries than the kind has. Raises Unavailable."""
        question, size, count = report.question, report.checkpoint.size, 0
        pieces = [(span.start, span.end) for span in self._indexer.spans if span.between(question.from_us, question.to_us)]
        tail = self._indexer.spans[-1].end if self._indexer.spans else 0
        pieces = [(start, min(end, size)) for start, end in [*pieces, (tail, size)] if start < size]
        if sum(end - start for start, end in pieces) > report.of_kind.most_recounted:
            return -1
        for start, end in pieces:
            for number in range(start // WIDTH, -(-end // WIDTH)):
                entries = await self._reader.bundle(number, size, once=True)
                for index in range(max(start, number * WIDTH), min(end, number * WIDTH + len(entries))):
                    count += _counts(audit.Entry.FromString(entries[index - number * WIDTH]), report)
                await step_aside()
        return count


def _or_index(row: Row | None, event: Event) -> Row | int:
    return event.index if row is None else row


def _counts(entry: audit.Entry, report: Report) -> bool:
    """Of an event in several entries, the last."""
    question = report.question
    part, _, parts = entry.context.get("part", "").partition("/")
    return (
        entry.tenant_id == question.tenant_id
        and part == parts
        and question.from_us <= entry.time_us < question.to_us
        and (not question.actions or entry.type in question.actions)
    )


def _page(report: Report, number: int) -> str:
    return report.file(f"rows/{number:06d}.json")
