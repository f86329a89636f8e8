"""What of a person is closed by an act that says so, for their customer's export."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from postlaw_consent.domain.event import Kind
from postlaw_consent.domain.fact import Fact
from postlaw_consent.domain.fold import fold
from postlaw_consent.domain.scope import EVERYTHING, PLATFORM


@dataclass(frozen=True, slots=True)
class Suppression:
    """`scope` is its key; `since_us`: the time of the act that closed it without a break since, microseconds since the epoch."""

    scope: str
    reason: Kind
    since_us: int


def suppressions_of(history: Sequence[Fact], now_us: int) -> list[Suppression]:
    """Opt-outs that stand, by scope, a restriction, and what is stopped for every customer. A pause is none of them: it is the person's
    own, and ends by itself or by them."""
    state = fold(history)
    acts = {fact.version: fact for fact in history}
    found = [(scope, acts[closed.version]) for scope, closed in sorted(state.closed.items()) if closed.version]
    for kind, scope in (("restricted", EVERYTHING), ("platform", PLATFORM)):
        hold = state.holds.get(kind)
        if hold is not None and (hold.until_us is None or hold.until_us > now_us):
            found.append((scope.key, acts[int(hold.id)]))
    return [Suppression(scope, act.kind, act.at_us) for scope, act in found]
