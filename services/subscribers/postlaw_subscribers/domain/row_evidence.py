"""What a row's own cells say of its consent: where the person is, how good the evidence is, when and on which form it was given."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from postlaw_law.words import STRICTEST
from postlaw_subscribers.domain.territories import territory_of

Grade = Literal["none", "attested", "captured"]
GRADES: dict[str, Grade] = {"none": "none", "attested": "attested", "captured": "captured"}

# Warnings: the row is taken, and the cell believed as little as the law believes what is not shown.
UNKNOWN_TERRITORY = "unknown_territory"
UNKNOWN_GRADE = "unknown_grade"
UNREADABLE_TIME = "unreadable_time"
TIME_WITHOUT_ZONE = "time_without_zone"
TIME_IN_FUTURE = "time_in_future"
TIME_BEFORE_1970 = "time_before_1970"  # before there was e-mail: what systems write who do not know
OLDER_THAN_ATTESTED = "older_than_attested"
NOTICE_NOT_SHOWN = "notice_not_shown"  # at the time of the consent, by the dates that the customer gave the notice
FORM_TOO_LONG = "form_too_long"

LONGEST_FORM = 200  # characters, so that thousands of rows fit into one call

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_CLOCK_SKEW_US = 5 * 60 * 1_000_000


class Variant(NamedTuple):
    """In what rows of one attestation differ before the law."""

    territories: tuple[str, ...]
    grade: Grade


class Variants:
    """The variants that occur in some rows, each once and in `all`; the first is the attestation's own."""

    def __init__(self, attested: tuple[str, ...]) -> None:
        """`attested`: the territories of the attestation."""
        self.all = [Variant(attested, "attested")]
        self._attested = attested
        self._place = {self.all[0]: 0}
        self._of_cells: dict[tuple[str, str], tuple[int, tuple[str, ...]]] = {}

    def of(self, territory: str, grade: str) -> tuple[int, tuple[str, ...]]:
        """(place in `all`, warnings) for a row's two cells; an empty cell says what the attestation says."""
        cells = (territory, grade)
        return self._of_cells.get(cells) or self._read(cells)

    def _read(self, cells: tuple[str, str]) -> tuple[int, tuple[str, ...]]:
        territory, grade = cells
        warnings: list[str] = []
        territories, graded = self._attested, GRADES["attested"]
        if territory:
            territories = (territory_of(territory) or STRICTEST,)
            if territories == (STRICTEST,):
                warnings.append(UNKNOWN_TERRITORY)
        if grade:
            graded = GRADES.get(grade.casefold(), "none")
            if grade.casefold() not in GRADES:
                warnings.append(UNKNOWN_GRADE)
        variant = Variant(territories, graded)
        place = self._place.setdefault(variant, len(self.all))
        if place == len(self.all):
            self.all.append(variant)
        found = self._of_cells[cells] = place, tuple(warnings)
        return found


def instant_of(cell: str, now_us: int) -> tuple[int, str]:
    """(microseconds since the epoch, "") of an ISO 8601 time; or (0, what is wrong with it). A time without a zone is not guessed at.
    The ledger takes none from before the epoch."""
    try:
        at = datetime.fromisoformat(cell)
    except ValueError:
        return 0, UNREADABLE_TIME
    if at.tzinfo is None:
        return 0, TIME_WITHOUT_ZONE
    at_us = (at - _EPOCH) // _MICROSECOND
    if at_us <= 0:
        return 0, TIME_BEFORE_1970
    return (0, TIME_IN_FUTURE) if at_us > now_us + _CLOCK_SKEW_US else (at_us, "")
