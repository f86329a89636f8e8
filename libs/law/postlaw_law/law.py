"""The law as it was loaded: regimes, the rules of each, and which regimes a message meets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from postlaw_law.rules import ForeignStates, Rule
from postlaw_law.words import STRICTEST

R = TypeVar("R", bound=Rule)

MAILBOXES = "MAILBOX"


@dataclass(frozen=True, slots=True)
class Regime:
    """`rules` in the order of the files, those of the file that it extends first: the order of routes decides ties."""

    name: str
    title: str
    territories: tuple[str, ...]
    effective_from: date
    rules: tuple[Rule, ...]

    def in_force(self, kind: type[R], day: date) -> Iterator[R]:
        return (rule for rule in self.rules if isinstance(rule, kind) and rule.in_force(day))

    def the(self, kind: type[R], day: date) -> R:
        """The one rule of this kind that is in force; of a day before the regime's first, the one that it began with. LookupError where
        there is none."""
        for rule in self.in_force(kind, max(day, self.effective_from)):
            return rule
        raise LookupError(f"{self.name} has no rule of kind {kind.__name__} on {day}")


@dataclass(frozen=True, slots=True)
class Law:
    """`version`: SHA-256 over the canonical content, in hex. `regime_of`: the regime of each territory that has a file."""

    version: str
    regimes: Mapping[str, Regime]
    regime_of: Mapping[str, str]

    def applicable(self, sender: str, recipients: tuple[str, ...], day: date) -> tuple[Regime, ...]:
        """Every regime of a possible recipient territory, and the sender's. What is unknown, has no file, or had no law yet on that day
        is the strictest default's."""
        to = recipients or (STRICTEST,)
        names = {self._regime(territory, day) for territory in to}
        at_home = self._regime(sender, day)
        if not self._steps_back(self.regimes[at_home], to, day):
            names.add(at_home)
        return tuple(self.regimes[name] for name in sorted(names))

    def _regime(self, territory: str, day: date) -> str:
        name = self.regime_of.get(territory, STRICTEST)
        return name if self.regimes[name].effective_from <= day else STRICTEST

    def _steps_back(self, at_home: Regime, to: tuple[str, ...], day: date) -> bool:
        return any(set(to) <= set(rule.states) for rule in at_home.in_force(ForeignStates, day))
