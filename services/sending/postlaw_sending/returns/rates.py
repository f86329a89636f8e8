"""What came back of a sender, against what was sent: from which rate on nothing more goes until a person has looked.

Large providers block senders from 0.3 % of complaints on, so it stops well before. A rate of few mails says nothing.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Final, Literal

Level = Literal["", "warn", "pause"]

COMPLAINTS_OF: Final = 1_000  # delivered, at least
BOUNCES_OF: Final = 200  # handed over or refused, at least
COMPLAINTS: Final = (0.001, 0.002)  # warn, pause
HARD_BOUNCES: Final = (0.05, 0.10)


@dataclass(frozen=True, slots=True)
class Figures:
    """Recipients: taken by the next server, refused by it for good; and those of whom a complaint or a hard bounce is known."""

    sent: int = 0
    refused: int = 0
    complaints: int = 0
    hard_bounces: int = 0

    def __add__(self, other: Figures) -> Figures:
        return Figures(*(one + more for one, more in zip(astuple(self), astuple(other), strict=True)))

    def since(self, before: Figures) -> Figures:
        return Figures(*(max(0, one - less) for one, less in zip(astuple(self), astuple(before), strict=True)))


def judged(figures: Figures) -> tuple[Level, str]:
    """The gravest level, and which rate has it."""
    tried = figures.sent + figures.refused
    found = [
        _level("complaints", figures.complaints, figures.sent, COMPLAINTS_OF, COMPLAINTS),
        _level("hard bounces", figures.hard_bounces, tried, BOUNCES_OF, HARD_BOUNCES),
    ]
    return max(found, key=lambda one: ("", "warn", "pause").index(one[0]))


def judged_rate(rate: float, of: int) -> Level:
    """Of complaints, as a provider itself states their rate. `of`: how many were handed to it."""
    if of < COMPLAINTS_OF:
        return ""
    return "pause" if rate >= COMPLAINTS[1] else "warn" if rate >= COMPLAINTS[0] else ""


def _level(what: str, number: int, of: int, at_least: int, limits: tuple[float, float]) -> tuple[Level, str]:
    if of < at_least:
        return "", ""
    warn, pause = limits
    level: Level = "pause" if number >= pause * of else "warn" if number >= warn * of else ""
    return (level, f"{what}: {number} of {of}") if level else ("", "")
