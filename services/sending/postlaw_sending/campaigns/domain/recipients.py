"""What becomes of a recipient: exactly one final state each, so that the states add up to the audience (design §4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

CAMPAIGN_PAUSED = "campaign_paused"
DECISION_EXPIRED = "decision_expired"
CAMPAIGN_CANCELLED = "campaign_cancelled"
BUSY = "destination_busy"  # our own shaping let nobody more go there for now
BUSY_S = {BUSY: 60, f"{BUSY}_5m": 300, f"{BUSY}_15m": 900, f"{BUSY}_1h": 3600, f"{BUSY}_4h": 14_400}  # by how many wait before them
TOMORROW = f"{BUSY}_4h"  # also where our new addresses have handed over what they may today
PROVIDER_HELD = "provider-held"  # too much came back of what the customer sent to this provider's people
FREQUENCY_CAP = "frequency-cap"  # had as many messages of late as the customer's cap allows
LONG_SILENT = "long-silent"  # gave no sign for longer than the campaign allows, and might have
GONE = "no_longer_known"  # the person was deleted between planning and sending

# How long a recipient that the next server put off waits before each new attempt: 24 hours altogether. After the last one
# it is expired. By number of attempts and not by a clock, so that every reading of the same events comes to the same states.
BACK_OFF_MINUTES = (1, 5, 15, 60, 120, 240, 360, 480, 159)


# Put off by ourselves, and not by the next server: after how many seconds such a recipient may go on. No attempt is counted.
OUR_OWN_DELAYS_S = {CAMPAIGN_PAUSED: 0, DECISION_EXPIRED: 0, **BUSY_S}


class State(IntEnum):
    """The contract's numbers."""

    PENDING = 0
    CLAIMED = 1
    SENT = 2
    REFUSED = 3
    FAILED = 4
    BOUNCED = 5
    EXPIRED = 6
    UNKNOWN = 7
    DEFERRED = 8


FINAL = (State.SENT, State.REFUSED, State.FAILED, State.BOUNCED, State.EXPIRED, State.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one recipient of a settled batch. `handed_over_at_us` 0: it was not handed over."""

    subscriber_id: str
    address_key: bytes
    state: State
    reason: str
    handed_over_at_us: int


@dataclass(frozen=True, slots=True)
class Settled:
    """A batch that came to its end. The lists run side by side, a place a recipient; `reasons` "" where there is none."""

    tenant_id: str
    campaign_id: str
    partition: int
    batch: int
    attempt: int
    started_at_us: int
    states: bytes
    address_keys: Sequence[bytes]
    subscriber_ids: Sequence[str]
    reasons: Sequence[str]
    handed_over_after_us: Sequence[int]

    def outcomes(self) -> list[Outcome]:
        """Each recipient with the state that this batch left it in."""
        return [
            Outcome(id, key, settled_state(state, reason, self.attempt), reason, self.started_at_us + after if after else 0)
            for id, key, state, reason, after in zip(
                self.subscriber_ids, self.address_keys, self.states, self.reasons, self.handed_over_after_us, strict=True
            )
        ]


@dataclass(frozen=True, slots=True)
class Waiting:
    """Recipients of one settled batch that a later batch carries again. `due_us` 0: as soon as the campaign is sending."""

    due_us: int
    attempt: int
    address_keys: list[bytes]
    subscriber_ids: list[str]


@dataclass(slots=True)
class Tally:
    """How many recipients ended in each state. `batches`: settled ones."""

    batches: int = 0
    sent: int = 0
    refused: int = 0
    failed: int = 0
    bounced: int = 0
    expired: int = 0
    unknown: int = 0
    refused_by_reason: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def final(self) -> int:
        return self.sent + self.refused + self.failed + self.bounced + self.expired + self.unknown

    def add(self, other: Tally) -> None:
        self.batches += other.batches
        self.sent += other.sent
        self.refused += other.refused
        self.failed += other.failed
        self.bounced += other.bounced
        self.expired += other.expired
        self.unknown += other.unknown
        merge_counts(self.refused_by_reason, other.refused_by_reason)


@dataclass(frozen=True, slots=True)
class Totals:
    """A campaign's recipients by state, as one answer."""

    audience: int
    audience_complete: bool
    tally: Tally

    @property
    def pending(self) -> int:
        # The audience is counted before its batches are published, so a final state never runs ahead of it but for a stale read.
        return max(0, self.audience - self.tally.final)


def merge_counts(into: dict[str, int], more: Mapping[str, int]) -> None:
    for reason, count in more.items():
        into[reason] = into.get(reason, 0) + count


def settled_state(state: int, reason: str, attempt: int) -> State:
    """A recipient that was put off once too often is expired; one that we put off ourselves never is."""
    if state == State.DEFERRED and reason not in OUR_OWN_DELAYS_S and attempt >= len(BACK_OFF_MINUTES):
        return State.EXPIRED
    if state in (State.PENDING, State.CLAIMED):
        return State.UNKNOWN  # a settled batch names none as open; should one slip through, it is nobody's to send again
    return State(state)


def next_attempt(reason: str, attempt: int) -> tuple[int, int]:
    """Of a recipient that was put off: after how many seconds the next attempt may be, and its number."""
    if reason in OUR_OWN_DELAYS_S:
        return OUR_OWN_DELAYS_S[reason], attempt
    return BACK_OFF_MINUTES[min(attempt, len(BACK_OFF_MINUTES) - 1)] * 60, attempt + 1


def count(settled: Settled) -> Tally:
    """The final states of one batch."""
    tally = Tally(batches=1)
    all_sent = settled.states.count(State.SENT)
    if all_sent == len(settled.states):
        tally.sent = all_sent
        return tally
    by_state = [0] * len(State)
    for state, reason in zip(settled.states, settled.reasons, strict=True):
        final = settled_state(state, reason, settled.attempt)
        by_state[final] += 1
        if final is State.REFUSED:
            tally.refused_by_reason[reason] = tally.refused_by_reason.get(reason, 0) + 1
    tally.sent, tally.refused, tally.failed = by_state[State.SENT], by_state[State.REFUSED], by_state[State.FAILED]
    tally.bounced, tally.expired, tally.unknown = by_state[State.BOUNCED], by_state[State.EXPIRED], by_state[State.UNKNOWN]
    return tally


def waiting(settled: Settled) -> list[Waiting]:
    """Who is not final yet. A 4xx reply counts as an attempt; a pause does not. Due times follow from the event alone."""
    if settled.states.find(State.DEFERRED) < 0:
        return []
    groups: dict[tuple[int, int], Waiting] = {}
    for key, id, state, reason in zip(settled.address_keys, settled.subscriber_ids, settled.states, settled.reasons, strict=True):
        if settled_state(state, reason, settled.attempt) is State.DEFERRED:
            after_s, attempt = next_attempt(reason, settled.attempt)
            # A due time names a group within its batch: those whose attempt does not count are due a microsecond later.
            due_us = settled.started_at_us + after_s * 1_000_000 + (attempt == settled.attempt) if after_s else 0
            group = groups.setdefault((due_us, attempt), Waiting(due_us, attempt, [], []))
            group.address_keys.append(key)
            group.subscriber_ids.append(id)
    return list(groups.values())
