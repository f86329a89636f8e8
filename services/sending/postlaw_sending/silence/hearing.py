"""Signs off the bus. The consumer of analytics reads these topics already: a second reading of every import's events would cost all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from postlaw_common.bus import Received
from postlaw_sending.silence.last_signals import LastSignals
from postlaw_sending.silence.wire import gone_in, signs_in


def hearing(signals: LastSignals) -> Callable[[Sequence[Received]], Awaitable[None]]:
    """What takes in records of several topics, each partition's in order."""

    async def hear(records: Sequence[Received]) -> None:
        if signs := signs_in(records):
            await signals.heard(signs)
        if gone := gone_in(records):
            await signals.forget(gone)

    return hear
