"""A report as a job: what was asked, how far it is, what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from postlaw_audit.notes import Checkpoint, parse_checkpoint
from postlaw_audit.reports.kinds import KINDS
from postlaw_audit.reports.kinds.kind import ReportKind
from postlaw_audit.search.searching import Question

State = Literal["queued", "running", "done", "failed", "cancelled", "expired"]


@dataclass(frozen=True, slots=True)
class Report:
    """Times in microseconds since the epoch, when the bus took an event: from `since_us` on, before `until_us`. `checkpoint_note`: the
    signed checkpoint below which everything is read, `witnesses` who has cosigned it, in names. `before`: entries from there on are gone
    through, into `pages` files of rows. `revision` counts what the log is told."""

    tenant_id: str
    report_id: str
    kind: str
    since_us: int
    until_us: int
    seed: str
    sample_size: int
    checkpoint_note: str
    witnesses: Sequence[str]
    requested_by: str
    requested_us: int
    state: State = "queued"
    before: int = 0
    pages: int = 0
    events: int = 0
    rows: int = 0
    totals: Mapping[str, int] = field(default_factory=dict[str, int])
    finished_us: int = 0
    failure: str = ""
    note: str = ""
    files: Sequence[str] = ()
    printed: str = ""
    revision: int = 1

    @property
    def of_kind(self) -> ReportKind:
        return KINDS[self.kind]

    @property
    def checkpoint(self) -> Checkpoint:
        return parse_checkpoint(self.checkpoint_note)

    @property
    def open(self) -> bool:
        return self.state in ("queued", "running")

    @property
    def standing(self) -> str:
        return f"witnessed by {', '.join(self.witnesses)}" if self.witnesses else "unwitnessed: no outside cosignature"

    @property
    def query(self) -> str:
        return self.of_kind.query(self.tenant_id, self.since_us, self.until_us, self.checkpoint.size)

    @property
    def question(self) -> Question:
        """Of what is not gone through yet."""
        kind, size = self.of_kind, self.checkpoint.size
        return Question(
            tenant_id="" if kind.of_platform else self.tenant_id,
            actions=kind.types,
            from_us=0 if kind.from_beginning else self.since_us,
            to_us=self.until_us,
            before=self.before or size,
        )

    @property
    def percent(self) -> int:
        """Of the log, from its end on; what is made of it comes last."""
        if self.state == "done":
            return 100
        size = self.checkpoint.size
        return 99 * (size - (self.before or size)) // size if size else 0

    def file(self, name: str) -> str:
        """A blob's key."""
        return f"reports/{self.tenant_id}/{self.report_id}/{name}"
