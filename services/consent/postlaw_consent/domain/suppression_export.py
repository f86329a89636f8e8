"""An export of a customer's suppression list: asked for by one, approved by another, taken once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["pending", "approved", "taken", "lapsed"]

TO_BE_TAKEN_WITHIN_US = 24 * 3600 * 1_000_000


@dataclass(frozen=True, slots=True)
class SuppressionExport:
    """Who is `kind:id` of an actor, "" while nobody has; times in microseconds since the epoch, 0 while it has not been. `complete`: it
    ended with the last of its `rows`."""

    tenant_id: str
    export_id: str
    purpose: str
    requested_by: str
    requested_us: int
    approved_by: str = ""
    approved_us: int = 0
    taken_by: str = ""
    taken_us: int = 0
    ended_us: int = 0
    rows: int = 0
    complete: bool = False
    version: int = 1

    def state(self, now_us: int) -> State:
        if self.taken_us:
            return "taken"
        if not self.approved_us:
            return "pending"
        return "approved" if now_us < self.approved_us + TO_BE_TAKEN_WITHIN_US else "lapsed"
