"""Holds what people were answered against a receiver's own records: was anybody mailed after an answer, or under way at it?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answered:
    """One opt-out. `at_ns`: when its answer was in the person's hands, nanoseconds since the epoch; `took_ms`: from request to answer."""

    address: str
    outcome: str  # "stopped" or "recorded"
    at_ns: int
    took_ms: float
    event_id: str


@dataclass(frozen=True, slots=True)
class HandOver:
    """One message at the receiver: from MAIL to the final reply, nanoseconds since the epoch."""

    address: str
    begin_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """`mailed_after` and `under_way` must be 0 among those answered *stopped*; after *recorded* one message may arrive, counted apart."""

    opt_outs: int
    stopped: int
    recorded: int
    median_ms: float
    p99_ms: float
    mailed_after: int
    under_way: int
    after_recorded: int
    mailed_twice: int
    never_mailed: int

    @property
    def holds(self) -> bool:
        return not (self.mailed_after or self.under_way or self.mailed_twice) and self.after_recorded <= self.recorded


def same(address: str) -> str:
    """The address in the one form that it is compared in: letter case aside, the domain in A-labels as it is on the wire."""
    local, _, domain = address.rpartition("@")
    return f"{local.casefold()}@{domain.casefold().encode('idna').decode('ascii')}"


def judge(answers: Iterable[Answered], records: Iterable[HandOver]) -> Verdict:
    """Holds each record against the answer that its address was given, if any."""
    by_address: Mapping[str, Answered] = {same(answer.address): answer for answer in answers}
    seen: Counter[str] = Counter()
    after = {"stopped": 0, "recorded": 0}
    under_way = 0
    for record in records:
        key = same(record.address)
        seen[key] += 1
        answer = by_address.get(key)
        if answer is None:
            continue
        if record.begin_ns > answer.at_ns:
            after[answer.outcome] += 1
        elif record.end_ns > answer.at_ns:
            if answer.outcome == "stopped":
                under_way += 1
            else:
                after["recorded"] += 1
    took = sorted(answer.took_ms for answer in by_address.values())
    return Verdict(
        opt_outs=len(took),
        stopped=sum(answer.outcome == "stopped" for answer in by_address.values()),
        recorded=sum(answer.outcome == "recorded" for answer in by_address.values()),
        median_ms=took[len(took) // 2] if took else 0.0,
        p99_ms=took[min(len(took) - 1, len(took) * 99 // 100)] if took else 0.0,
        mailed_after=after["stopped"],
        under_way=under_way,
        after_recorded=after["recorded"],
        mailed_twice=sum(1 for count in seen.values() if count > 1),
        never_mailed=sum(1 for address in by_address if not seen[address]),
    )
