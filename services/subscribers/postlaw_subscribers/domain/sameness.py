"""Whether many rows share one value: the frequent values of a column, in bounded memory however long the file is (Misra and Gries, 1982).

Consents that many people gave at one instant, from one address or on one form were hardly given by each of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

KEPT = 200  # values; so a count is too low by half a per cent of the rows at most, and never too high
# Below these nothing is said: a household or an office shares an address, a busy minute an instant; and of a large list, a mobile
# network's few gateways bring a few rows in a thousand each.
FEW = 20
SHARE = 0.01
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Flag:
    """At least `rows` rows share one `what` (time, ip, form). The value is withheld: it may tell who a person is."""

    what: str
    rows: int


@dataclass(frozen=True, slots=True)
class Tally:
    """Of one column: how many rows have a value there, and the values that stand out."""

    rows: int = 0
    counts: Mapping[str, int] = field(default_factory=dict[str, int])

    def plus(self, values: Iterable[str]) -> Tally:
        more = Counter(values)
        merged = Counter(self.counts)
        merged.update(more)
        if len(merged) > KEPT:
            floor = sorted(merged.values(), reverse=True)[KEPT]
            merged = Counter({value: count - floor for value, count in merged.items() if count > floor})
        return Tally(self.rows + more.total(), dict(merged))

    def frequent(self) -> list[int]:
        """How many rows share each of the values that too many share; the largest first, ten at most."""
        least = max(FEW, SHARE * self.rows)
        return sorted((count for count in self.counts.values() if count >= least), reverse=True)[:_SHOWN]


Tallies = Mapping[str, Tally]
"""By what the column says: time, ip, form."""


def flags_of(tallies: Tallies) -> Iterator[Flag]:
    return (Flag(what, rows) for what, tally in tallies.items() for rows in tally.frequent())
