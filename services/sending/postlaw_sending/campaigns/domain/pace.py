"""How fast a campaign may go: so many messages an hour, a minute's worth of them together, and the next when these have had their time.

Its state is one instant, until which what was sent is paid for: a plain value that survives a restart.
"""

from __future__ import annotations

from typing import Final

_HOUR_US: Final = 3_600_000_000
_MINUTE_US: Final = 60_000_000
_BATCH: Final = 200
_MOST: Final = 10 * _BATCH  # that are ever paid for at once


def at_once(an_hour: int) -> int:
    """How many may go together, from 1 up to a batch."""
    return max(1, min(_BATCH, an_hour // 60))


def allowed(an_hour: int, paid_until_us: int, now_us: int) -> int:
    """How many may go now. A clock that was set back has nobody wait for longer than what may have been paid for at once."""
    if now_us < paid_until_us <= now_us + cost_us(an_hour, _MOST) + _MINUTE_US:
        return 0
    return max(1, min(_MOST, an_hour // 60))


def cost_us(an_hour: int, messages: int) -> int:
    """The time that so many take."""
    return messages * _HOUR_US // an_hour
