"""What is counted of a settled batch."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from postlaw_common.testing.promises import promise
from postlaw_common.testing.telemetry_memory import TelemetryMemory
from postlaw_sending.stop.holding import BOUNCED, DEFERRED, EXPIRED, FAILED, REFUSED, SENT, UNKNOWN
from postlaw_sending.worker.settled_count import OUTCOMES, begin_count, count_settled

NAME = "postlaw.sending.recipients.settled"


@promise("S6")
def test_every_recipient_of_settled_batches_is_counted_once_by_outcome(telemetry: TelemetryMemory) -> None:
    begin_count()
    before = {outcome: telemetry.value(NAME, outcome=outcome) or 0 for outcome in OUTCOMES.values()}
    first: Any = SimpleNamespace(states=bytearray([SENT, SENT, REFUSED, BOUNCED, UNKNOWN]))
    second: Any = SimpleNamespace(states=bytearray([SENT, FAILED, EXPIRED, DEFERRED, DEFERRED]))
    count_settled([first, second])
    counted = {outcome: (telemetry.value(NAME, outcome=outcome) or 0) - before[outcome] for outcome in OUTCOMES.values()}
    assert counted == {"sent": 3, "refused": 1, "failed": 1, "bounced": 1, "expired": 1, "unknown": 1, "deferred": 2}
