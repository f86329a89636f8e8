"""From rows to files: once through them for picture and totals, then once for each file that holds all lines. Memory stays constant."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from postlaw_audit.reader import LogReader
from postlaw_audit.reports.gathering import Gathering
from postlaw_audit.reports.kinds.kind import Line
from postlaw_audit.reports.manifest import digest, manifest
from postlaw_audit.reports.pages import Shown, page_of
from postlaw_audit.reports.printing import NotPrinted, Printer
from postlaw_audit.reports.report import Report
from postlaw_audit.reports.totals import RECOUNTED, Totals, TotalsDiffer, drawn
from postlaw_audit.signing import Signer
from postlaw_common.blobs import Blobs
from postlaw_common.csv_lines import csv_lines, defused
from postlaw_common.foreground import step_aside

SHOWN = 500  # lines that a page holds; of more it shows the sample, and CSV and JSON hold all


class Making:
    """`signer`: of the log itself."""

    def __init__(
        self, gathering: Gathering, reader: LogReader, blobs: Blobs, printer: Printer, signer: Signer, now_us: Callable[[], int]
    ) -> None:
        self._gathering = gathering
        self._reader = reader
        self._blobs = blobs
        self._printer = printer
        self._signer = signer
        self._now_us = now_us

    async def make(self, report: Report) -> Report:
        """The report with its files, done. Raises TotalsDiffer, Unavailable."""
        cells, totals = await self._through(report)
        told = totals.told()
        recounted = await self._gathering.recount(report)
        if totals.events != report.events or recounted not in (-1, report.events):
            raise TotalsDiffer(
                f"The query found {report.events} events, the lines say {totals.events}, the log itself holds {recounted}: the search "
                "index does not fit the log (postlaw audit index rebuild), or a fault of ours lost some."
            )
        if recounted >= 0:
            told[RECOUNTED] = recounted
        report = replace(report, rows=totals.rows, totals=told, finished_us=self._now_us())
        numbers = drawn(report.seed, totals.rows, report.sample_size)
        proofs = await self._proofs(report, totals)
        shown = Shown([], [])
        csv = await self._put(report, "report.csv", self._csv(report, numbers, shown))
        told_json = await self._put(report, "report.json", self._json(report, totals, numbers, proofs))
        page = page_of(report, shown, cells, totals.undecodable, proofs).encode()
        await self._blobs.put(report.file("report.html"), page)
        digests = {"report.csv": csv, "report.json": told_json, "report.html": digest(page)}
        try:
            if not report.of_kind.printed:
                raise NotPrinted("What is made daily is not printed: the page prints from any browser.")
            pdf = await self._printer.pdf(page)
            await self._blobs.put(report.file("report.pdf"), pdf)
            digests["report.pdf"] = digest(pdf)
        except NotPrinted as why:
            report = replace(report, printed=str(why))
        note = self._signer.sign_text(manifest(report, digests))
        return replace(report, state="done", note=note, files=tuple(sorted(digests)))

    async def _lines(self, report: Report) -> AsyncGenerator[Line]:
        together = report.of_kind.together(report.until_us)
        async with aclosing(self._gathering.rows(report)) as pages:
            async for page in pages:
                for row in page:
                    if not isinstance(row, int):
                        for line in together.take(row):
                            yield line
                await step_aside()
        for line in together.end():
            yield line

    async def _through(self, report: Report) -> tuple[Counter[tuple[str, str]], Totals]:
        cells, totals, together = Counter[tuple[str, str]](), Totals(report.of_kind), report.of_kind.together(report.until_us)
        async with aclosing(self._gathering.rows(report)) as pages:
            async for page in pages:
                for row in page:
                    if isinstance(row, int):
                        totals.leave_out(row)
                        continue
                    cells[report.of_kind.cell(row)] += 1
                    for line in together.take(row):
                        totals.add(line)
                await step_aside()
        for line in together.end():
            totals.add(line)
        return cells, totals

    async def _proofs(self, report: Report, totals: Totals) -> list[dict[str, Any]]:
        """Of the worst line: that the log has its entry, and the one that the measure began with."""
        if totals.worst is None:
            return []
        named = dict(zip(report.of_kind.columns, totals.worst, strict=True))
        checkpoint = report.checkpoint
        places = [("the answer", int(named["entry"]))]
        if (began := await self._reader.find_event(str(named["event_id"]), checkpoint.size)) is not None:
            places.insert(0, ("the opt-out", began[0]))
        return [await self._proof(what, index, report) for what, index in places]

    async def _proof(self, what: str, index: int, report: Report) -> dict[str, Any]:
        entry, path = await self._reader.proved(index, report.checkpoint.size, report.checkpoint)
        return {"what": what, "index": index, "entry": _base64(entry), "path": [_base64(step) for step in path]}

    async def _csv(self, report: Report, numbers: Sequence[int], shown: Shown) -> AsyncGenerator[bytes]:
        """Notes on its way what the page is to show: every line where they are few, and the sample."""
        wanted, number = set(numbers), 0
        yield csv_lines([report.of_kind.columns])
        async with aclosing(self._lines(report)) as lines:
            async for line in lines:
                number += 1
                if report.rows <= SHOWN:
                    shown.all.append((number, line))
                if number in wanted:
                    shown.sample.append((number, line))
                yield csv_lines([[cell if isinstance(cell, int) else defused(cell) for cell in line]])

    async def _json(
        self, report: Report, totals: Totals, numbers: Sequence[int], proofs: Sequence[dict[str, Any]]
    ) -> AsyncGenerator[bytes]:
        head = {
            "report": about(report),
            "keys": list(self._signer.successions.values()),
            "totals": dict(report.totals),
            "undecodable": totals.undecodable.tolist(),
            "sample": {"seed": report.seed, "size": report.sample_size, "numbers": numbers},
            "proofs": proofs,
            "columns": report.of_kind.columns,
        }
        yield json.dumps(head, indent=1)[:-2].encode() + b',\n "rows": ['
        separator = b"\n  "
        async with aclosing(self._lines(report)) as lines:
            async for line in lines:
                yield separator + json.dumps(line).encode()
                separator = b",\n  "
        yield b"\n ]\n}\n"

    async def _put(self, report: Report, name: str, pieces: AsyncGenerator[bytes]) -> str:
        """Its SHA-256."""
        hashed = hashlib.sha256()

        async def gathered() -> AsyncIterable[bytes]:
            waiting = bytearray()
            async with aclosing(pieces) as some:
                async for piece in some:
                    waiting += piece
                    if len(waiting) > _A_PIECE:
                        hashed.update(waiting)
                        yield bytes(waiting)
                        waiting.clear()
            hashed.update(waiting)
            yield bytes(waiting)

        await self._blobs.put_stream(report.file(name), gathered())
        return hashed.hexdigest()


_A_PIECE = 1 << 18


def about(report: Report) -> dict[str, Any]:
    """As report.json has it."""
    checkpoint = report.checkpoint
    return {
        "report_id": report.report_id,
        "customer": report.tenant_id,
        "kind": report.kind,
        "title": report.of_kind.title,
        "query": report.query,
        "requested_by": report.requested_by,
        "since_us": report.since_us,
        "until_us": report.until_us,
        "checkpoint": {"origin": checkpoint.origin, "size": checkpoint.size, "note": report.checkpoint_note},
        "witnesses": list(report.witnesses),
        "standing": report.standing,
    }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
