"""Recipients by outcome, counted over a settled batch's bytes: a recipient costs nothing here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from postlaw_common.telemetry import meter
from postlaw_sending.stop.holding import BOUNCED, DEFERRED, EXPIRED, FAILED, REFUSED, SENT, UNKNOWN
from postlaw_sending.worker.live_batch import LiveBatch

OUTCOMES: Mapping[int, str] = {
    SENT: "sent",
    REFUSED: "refused",
    FAILED: "failed",
    BOUNCED: "bounced",
    EXPIRED: "expired",
    UNKNOWN: "unknown",
    DEFERRED: "deferred",
}

_settled = meter("postlaw.sending").create_counter(
    "postlaw.sending.recipients.settled",
    unit="{recipient}",
    description="Recipients settled by workers, by outcome; deferred ones come again",
)


def count_settled(batches: Iterable[LiveBatch]) -> None:
    """Batches whose outcomes are on the bus."""
    for batch in batches:
        for state, outcome in OUTCOMES.items():
            number = batch.states.count(state)
            if number:
                _settled.add(number, {"outcome": outcome})


def begin_count() -> None:
    """Zeros from the start: who first sees a counter above zero cannot tell that it has risen."""
    for outcome in OUTCOMES.values():
        _settled.add(0, {"outcome": outcome})
