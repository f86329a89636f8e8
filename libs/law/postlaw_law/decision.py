"""The answer: whether a message may go to a person, why, until when, and what it must carry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from postlaw_law.words import Basis, Duty


@dataclass(frozen=True, slots=True, order=True)
class Reason:
    """Why not. `code` as in the README's table, `CA:ROUTE_EXPIRED`; `section`: where the law says so."""

    code: str
    section: str


@dataclass(frozen=True, slots=True)
class Obligations:
    """What the message must carry. `mechanism_days`: how long its way to opt out must work after sending, at least.
    `opt_out_business_days`: the outer limit that the strictest regime sets; 0 is at once, and at once is what this product does."""

    duties: frozenset[Duty]
    mechanism_days: int
    opt_out_business_days: int


@dataclass(frozen=True, slots=True)
class TrackingAllowed:
    """`open` and `click`: by person. `open_hygiene`: only the date of the last open, to keep the list clean."""

    open: bool
    open_hygiene: bool
    click: bool


class Decision(NamedTuple):
    """`basis`: per applicable regime, what the message rests on and why the person gets it; None where it may not go. `reasons`: of the
    first stage that fails, sorted. `expires_at`: the first instant at which it may no longer go; None where nothing ends by itself.
    `evidence`: ids of the ledger's events that the answer rests on, sorted. `law`: the version of the law that decided."""

    allow: bool
    basis: Mapping[str, Basis] | None
    reasons: tuple[Reason, ...]
    expires_at: datetime | None
    obligations: Obligations
    tracking: TrackingAllowed
    evidence: tuple[str, ...]
    law: str
