"""Checks a report from its files and the log's key, with no service running; and, where the log's files are at hand, makes it again.

The signature says that whoever runs the log made this report. That nothing was left out of it only the log itself can say: every entry
below the checkpoint is then read, shown to lead to the checkpoint's root, and asked the same query.
"""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import AsyncIterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from postlaw_audit.domain.merkle import ProofInvalid, leaf_hash, verify_inclusion
from postlaw_audit.domain.tiles import GrowingTree
from postlaw_audit.key_chain import KeyChain
from postlaw_audit.notes import Checkpoint, NoteInvalid
from postlaw_audit.reports.kinds import KINDS
from postlaw_audit.reports.kinds.kind import Line, ReportKind
from postlaw_audit.reports.manifest import FIRST, digest, digests_in, one_line, told_twice
from postlaw_audit.reports.totals import RECOUNTED, UNDECODABLE, Totals, drawn, totals_of
from postlaw_audit.search.about import about
from postlaw_audit.search.events import Joined
from postlaw_audit.search.searching import Question
from postlaw_audit.witness_policy import Policy, witnesses_of
from postlaw_common.csv_lines import defused

CLOCKS_US = 5_000_000  # by which the bus's clocks and the service's may differ: what was entered around the range's end is no fault
NOTE, JSON, CSV = "report.note", "report.json", "report.csv"


class ReportInvalid(Exception):
    """The message names the first thing that is wrong."""


@dataclass(frozen=True, slots=True)
class Verified:
    """`files` that were checked; `witnesses` that have cosigned the checkpoint, where they are enough; `made_again`: from the log's
    entries."""

    report_id: str
    kind: str
    rows: int
    checkpoint: Checkpoint
    files: Sequence[str]
    witnesses: Sequence[str]
    made_again: bool


async def verify_report(
    files: Mapping[str, bytes], keys: KeyChain, policy: Policy | None = None, log: AsyncIterable[Sequence[bytes]] | None = None
) -> Verified:
    """`files` by name; the note and the JSON must be there. `keys`: those of the log that are known; what followed
    them since is found by the report's own notes. `log`: the log's entries from the first on, in any pieces; it may have grown since.
    Raises ReportInvalid."""
    for needed in (NOTE, JSON):
        if needed not in files:
            raise ReportInvalid(f"{needed} is missing")
    try:
        told: dict[str, Any] = json.loads(files[JSON])  # its key notes prove themselves; the rest counts once it is what was signed
        keys = keys.followed(told.get("keys", ()))
        text = keys.signed_earlier(files[NOTE].decode())
        checked = _hashes_fit(text, files)
        checkpoint = keys.open_earlier(told["report"]["checkpoint"]["note"])
        witnesses = witnesses_of(told["report"]["checkpoint"]["note"], policy or Policy())
    except NoteInvalid as wrong:
        raise ReportInvalid(
            f"the note or the checkpoint: {wrong} (a report of before the log's key was followed by this one: give the key of its day, or "
            "--log)"
        ) from wrong
    except (ValueError, AttributeError, TypeError) as wrong:
        raise ReportInvalid(f"{NOTE} and {JSON} are no report's: {wrong}") from wrong
    kind = KINDS[told["report"]["kind"]]
    rows: list[Line] = told["rows"]
    undecodable: list[int] = told.get("undecodable", [])  # of before there were any, none
    _note_fits(text, told, kind, checkpoint)
    totals = _totals_fit(kind, rows, undecodable, told["totals"])
    if CSV in files:
        _same_lines(kind, rows, files[CSV])
    sample = told["sample"]
    if list(drawn(sample["seed"], len(rows), sample["size"])) != sample["numbers"]:
        raise ReportInvalid("the sample is another than its seed draws")
    _proofs_fit(kind, totals, told["proofs"], checkpoint)
    if log is not None:
        await _made_again(told["report"], kind, rows, undecodable, checkpoint, log)
    return Verified(told["report"]["report_id"], kind.name, len(rows), checkpoint, checked, witnesses, log is not None)


def _hashes_fit(text: str, files: Mapping[str, bytes]) -> list[str]:
    if text.partition("\n")[0] != FIRST:
        raise ReportInvalid("what is signed is no report's note")
    digests = digests_in(text)
    for name in files.keys() - {NOTE}:
        if digests.get(name) != digest(files[name]):
            raise ReportInvalid(f"{name} is not the file that was signed")
    return sorted(files.keys() - {NOTE})


def _note_fits(text: str, told: Mapping[str, Any], kind: ReportKind, checkpoint: Checkpoint) -> None:
    """The note is what people read, and keep: it must be of this very query."""
    said, sample = told["report"], told["sample"]
    query = kind.query(said["customer"], said["since_us"], said["until_us"], checkpoint.size)
    whose, found = told_twice(
        said["report_id"], said["customer"], kind.name, query, checkpoint, said["standing"], told["totals"], sample["size"], sample["seed"]
    )
    lines = text.split("\n")
    if missing := [line for line in map(one_line, (*whose, *found)) if line not in lines]:
        raise ReportInvalid(f"the note says something else than {JSON}, by which it has the line: {missing[0]}")
    if said["query"] != query:
        raise ReportInvalid(f"{JSON} says that it is of another query than it is: {query}")


def _totals_fit(kind: ReportKind, rows: Sequence[Line], undecodable: Sequence[int], told: Mapping[str, int]) -> Totals:
    totals = totals_of(kind, rows, undecodable)
    if {UNDECODABLE: 0} | {name: value for name, value in told.items() if name != RECOUNTED} != totals.told():
        raise ReportInvalid("the control totals do not fit the lines")
    if told.get(RECOUNTED, totals.events) != totals.events:
        raise ReportInvalid("the log held another number of events than the lines say")
    return totals


def _same_lines(kind: ReportKind, rows: Sequence[Line], data: bytes) -> None:
    header, *lines = csv.reader(io.StringIO(data.decode(), newline=""))
    wanted = [[str(cell) if isinstance(cell, int) else defused(cell) for cell in line] for line in rows]
    if tuple(header) != kind.columns or lines != wanted:
        raise ReportInvalid(f"{CSV} and {JSON} hold other lines")


def _proofs_fit(kind: ReportKind, totals: Totals, proofs: Sequence[Mapping[str, Any]], checkpoint: Checkpoint) -> None:
    for proof in proofs:
        path = [base64.b64decode(step) for step in proof["path"]]
        try:
            verify_inclusion(proof["index"], checkpoint.size, leaf_hash(base64.b64decode(proof["entry"])), path, checkpoint.root)
        except ProofInvalid as wrong:
            raise ReportInvalid(f"the proof of entry {proof['index']}: {wrong}") from wrong
    if totals.worst is not None and totals.worst[kind.columns.index("entry")] not in [proof["index"] for proof in proofs]:
        raise ReportInvalid("the worst case has no proof")


async def _made_again(
    told: Mapping[str, Any],
    kind: ReportKind,
    rows: Sequence[Line],
    undecodable: Sequence[int],
    checkpoint: Checkpoint,
    log: AsyncIterable[Sequence[bytes]],
) -> None:
    question = Question(
        tenant_id="" if kind.of_platform else told["customer"],
        actions=kind.types,
        from_us=0 if kind.from_beginning else told["since_us"],
        to_us=told["until_us"],
    )
    tree, joined, together = GrowingTree(), Joined(), kind.together(told["until_us"])
    again, left_out, later, size = list[list[Any]](), list[int](), list[int](), 0
    async for entries in log:
        tree.append(entries[: max(0, checkpoint.size - size)])
        for index, piece in enumerate(entries, size):
            event = joined.take(index, piece)
            if event is not None and question.fits(event, about(event.entry.type, event.data)):
                if index >= checkpoint.size:
                    if event.entry.time_us < question.to_us - CLOCKS_US:
                        later.append(index)
                elif (row := kind.read(event)) is None:
                    left_out.append(event.index)
                else:
                    again += map(list, together.take(row))
        size += len(entries)
    again += map(list, together.end())
    if (tree.size, tree.root()) != (checkpoint.size, checkpoint.root):
        raise ReportInvalid(f"the log's entries do not lead to the report's checkpoint at size {checkpoint.size}")
    if left_out != [*undecodable]:
        raise ReportInvalid(f"{len(left_out)} entries of the log cannot be decoded, the report names {len(undecodable)}, or others")
    if later:
        raise ReportInvalid(
            f"the log has {len(later)} more events of its range above the report's checkpoint, from entry {later[0]} on: it was made below "
            f"{checkpoint.size} entries, before the log had them"
        )
    there = [list(line) for line in rows]
    if again != there:
        differing = (number for number, (one, other) in enumerate(zip(there, again, strict=False), 1) if one != other)
        missing = next(differing, min(len(there), len(again)) + 1)
        raise ReportInvalid(f"the log gives {len(again)} lines, the report has {len(rows)}; they differ from line {missing} on")
