"""An import as a job: its settings, how far it is, what became of the rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum


class State(Enum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"

    @property
    def over(self) -> bool:
        return self in (State.DONE, State.FAILED)


class Outcome(Enum):
    """What became of a row that was taken."""

    ADDED = "added"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


NO_ADDRESS = "no_address"
INVALID_ADDRESS = "invalid_address"
TOO_MANY_CELLS = "too_many_cells"
CONTROL_CHARACTER = "control_character"
DUPLICATE_IN_FILE = "duplicate_in_file"


@dataclass(frozen=True, slots=True)
class Attestation:
    """What the customer attests about the consent of the rows. `collected_us` 0: not stated."""

    source: str
    wording: str
    attested_by: str
    collected_us: int = 0


@dataclass(frozen=True, slots=True)
class Settings:
    list_id: str
    filename: str = ""
    encoding: str = ""
    address_column: str = ""
    consent: Attestation | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """rows = added + updated + unchanged + refused, at every checkpoint."""

    rows: int = 0
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: int = 0
    refused_by_reason: Mapping[str, int] = field(default_factory=dict[str, int])

    def plus(self, taken: Mapping[Outcome, int], refused: Mapping[str, int]) -> Counts:
        reasons = dict(self.refused_by_reason)
        for reason, count in refused.items():
            reasons[reason] = reasons.get(reason, 0) + count
        lost = sum(refused.values())
        return Counts(
            rows=self.rows + sum(taken.values()) + lost,
            added=self.added + taken.get(Outcome.ADDED, 0),
            updated=self.updated + taken.get(Outcome.UPDATED, 0),
            unchanged=self.unchanged + taken.get(Outcome.UNCHANGED, 0),
            refused=self.refused + lost,
            refused_by_reason=reasons,
        )


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything before byte `offset` of the stored text is done with; the next row there has number `next_row`."""

    offset: int = 0
    next_row: int = 1
    counts: Counts = field(default_factory=Counts)


@dataclass(frozen=True, slots=True)
class ImportJob:
    """`received`: bytes as they came; `stored`: bytes of the stored text (another encoding makes them differ).
    `epoch` is raised by whoever takes the job up; `beat` by its runner, to show that it lives."""

    tenant_id: str
    import_id: str
    settings: Settings
    state: State
    received: int
    stored: int
    checkpoint: Checkpoint
    failure: str
    created_us: int
    finished_us: int
    created_by: str  # "kind:id" of the caller on whose behalf the job runs
    names: tuple[str, ...] = ()  # the columns, once the header was read
    owner: str = ""
    epoch: int = 0
    beat: int = 0
    version: int = 0

    @property
    def bytes_done(self) -> int:
        """Of `received`, in proportion."""
        if self.state is State.DONE:
            return self.received
        return self.received * self.checkpoint.offset // self.stored if self.stored else 0

    def moved_to(self, state: State, *, now_us: int, failure: str = "") -> ImportJob:
        return replace(self, state=state, failure=failure, finished_us=now_us if state.over else 0)
