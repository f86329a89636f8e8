"""An import as a job: its settings, how far it is, what became of the rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from postlaw_law.spelling import is_language_tag
from postlaw_law.words import CLAIMABLE, RELATIONSHIPS
from postlaw_subscribers.domain.digest import FORMATS, Format
from postlaw_subscribers.domain.sameness import Flag, Tallies, Tally, flags_of
from postlaw_subscribers.domain.territories import is_territory


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
    SUPPRESSED = "suppressed"
    ALREADY_SUPPRESSED = "already_suppressed"
    DIGEST_KEPT = "digest_kept"


NO_ADDRESS = "no_address"
INVALID_ADDRESS = "invalid_address"
DIGEST_OF_ADDRESS = "digest_of_address"
NOT_A_DIGEST = "not_a_digest"
TOO_MANY_CELLS = "too_many_cells"
CONTROL_CHARACTER = "control_character"
DUPLICATE_IN_FILE = "duplicate_in_file"


@dataclass(frozen=True, slots=True)
class Attestation:
    """What the customer attests about the consent of the rows. `collected_us` 0: not stated.

    `held`: evidence that was kept, in the law's words. `territories`: alpha-2 codes, none where unknown. `relationship`: what the people
    have with the customer where they gave no consent."""

    source: str
    wording: str
    attested_by: str
    collected_us: int = 0
    held: tuple[str, ...] = ()
    territories: tuple[str, ...] = ()
    relationship: str = ""
    language: str = ""
    method: str = ""

    def problems(self) -> Iterator[tuple[str, str]]:
        """(field, what is wrong with it, for whoever sent it)."""
        if not CLAIMABLE.issuperset(self.held):
            yield "held", "must be of " + ", ".join(sorted(CLAIMABLE))
        if not all(map(is_territory, self.territories)):
            yield "territories", "must be ISO 3166-1 codes of two capital letters, such as DE"
        if self.relationship and self.relationship not in RELATIONSHIPS:
            yield "relationship", "must be one of " + ", ".join(sorted(RELATIONSHIPS))
        if self.relationship and not self.collected_us:
            yield "collected_at", "is required with a relationship: the time that the law gives it runs from there"
        if self.language and not is_language_tag(self.language):
            yield "language", "must be a language tag (BCP 47), such as de or pt-BR"


@dataclass(frozen=True, slots=True)
class Columns:
    """The names of columns, where the customer gives them; else each has names of its own (csv_header.py)."""

    address: str = ""
    territory: str = ""
    grade: str = ""
    time: str = ""
    ip: str = ""
    form: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """`suppress_source`: whose suppression list the rows are; then there is neither list nor consent. "" of any other import.
    `suppress_format`: how those rows name people."""

    list_id: str
    filename: str = ""
    encoding: str = ""
    columns: Columns = field(default_factory=Columns)
    consent: Attestation | None = None
    suppress_source: str = ""
    suppress_format: Format = "address"

    def problems(self) -> Iterator[tuple[str, str]]:
        """(field, what is wrong with it, for whoever sent it)."""
        if self.suppress_source:
            if self.list_id:
                yield "list_id", "must be left out with `suppress`: a suppression list makes nobody a member"
            if self.consent:
                yield "consent", "must be left out with `suppress`"
            if self.suppress_format not in FORMATS:
                yield "suppress.format", "must be one of " + ", ".join(FORMATS)
        elif not self.list_id:
            yield "list_id", "is required"
        if self.consent:
            for name, said in self.consent.problems():
                yield f"consent.{name}", said


@dataclass(frozen=True, slots=True)
class Counts:
    """rows = added + updated + unchanged + suppressed + already_suppressed + digests_kept + refused, at every checkpoint. `warnings`: rows
    taken with a cell that was not believed."""

    rows: int = 0
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: int = 0
    refused_by_reason: Mapping[str, int] = field(default_factory=dict[str, int])
    warnings: Mapping[str, int] = field(default_factory=dict[str, int])
    suppressed: int = 0
    already_suppressed: int = 0
    digests_kept: int = 0

    def plus(self, taken: Mapping[Outcome, int], refused: Mapping[str, int], warned: Mapping[str, int]) -> Counts:
        lost = sum(refused.values())
        return Counts(
            rows=self.rows + sum(taken.values()) + lost,
            added=self.added + taken.get(Outcome.ADDED, 0),
            updated=self.updated + taken.get(Outcome.UPDATED, 0),
            unchanged=self.unchanged + taken.get(Outcome.UNCHANGED, 0),
            refused=self.refused + lost,
            refused_by_reason=_sum(self.refused_by_reason, refused),
            warnings=_sum(self.warnings, warned),
            suppressed=self.suppressed + taken.get(Outcome.SUPPRESSED, 0),
            already_suppressed=self.already_suppressed + taken.get(Outcome.ALREADY_SUPPRESSED, 0),
            digests_kept=self.digests_kept + taken.get(Outcome.DIGEST_KEPT, 0),
        )


def _sum(counts: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    return {name: counts.get(name, 0) + more.get(name, 0) for name in (*counts, *(name for name in more if name not in counts))}


@dataclass(frozen=True, slots=True)
class GoneThrough:
    """A customer's people, in the order of their documents, up to the one named `after`; `matched`: whom the list names."""

    after: str = ""
    checked: int = 0
    matched: int = 0


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything before byte `offset` of the stored text is done with; the next row there has number `next_row`. `tallies`: what many rows
    share, while the job lives; `flags`: what of it stands out. Of digests, `people`: how far the customer's people were gone through."""

    offset: int = 0
    next_row: int = 1
    counts: Counts = field(default_factory=Counts)
    tallies: Tallies = field(default_factory=dict[str, Tally])
    flags: tuple[Flag, ...] = ()
    people: GoneThrough = field(default_factory=GoneThrough)

    def seen(self, values: Mapping[str, list[str]]) -> tuple[Tallies, tuple[Flag, ...]]:
        """Tallies and flags with these values of further rows."""
        tallies = {what: self.tallies.get(what, Tally()).plus(some) for what, some in values.items()}
        tallies = {**self.tallies, **tallies}
        return tallies, tuple(flags_of(tallies))


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
