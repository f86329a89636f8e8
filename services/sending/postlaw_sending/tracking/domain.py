"""What a campaign asks to know, and what of it a person allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["open", "click"]

# As they stand in a job batch, added up.
OPENS: Final = 1
CLICKS: Final = 2


@dataclass(frozen=True, slots=True)
class Tracking:
    """`opens` and `clicks`: by person, of those who allow it. `counts`: clicks of all others, without the person. `links`: the table that a
    tracked link's number stands in; nothing else is ever led to."""

    opens: bool = False
    clicks: bool = False
    counts: bool = False
    links: tuple[str, ...] = ()

    @property
    def on(self) -> bool:
        return self.opens or self.clicks or self.counts

    @property
    def asked(self) -> int:
        return OPENS * self.opens | CLICKS * self.clicks

    def allowed(self, *, opens: bool, clicks: bool) -> int:
        """What is asked of a person who allows so much."""
        return self.asked & (OPENS * opens | CLICKS * clicks)


NO_TRACKING: Final = Tracking()
