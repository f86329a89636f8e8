"""So many marketing messages to one person within so many days."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_DAY_US: Final = 24 * 3600 * 1_000_000


@dataclass(frozen=True, slots=True)
class Cap:
    """`messages` 0: there is none. `counted_from_us`: since when there has been one; what was sent before is not known."""

    messages: int = 0
    days: int = 0
    counted_from_us: int = 0

    def since_us(self, now_us: int) -> int:
        """What was sent after this counts."""
        return now_us - self.days * _DAY_US
