"""Who said stop in the last seconds, and which of the live batches' messages to them the relay already has (stop/relay_queue.py)."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field

from postlaw_sending.stop.holding import SENT, UNKNOWN
from postlaw_sending.stop.relay_queue import Handed
from postlaw_sending.stop.scope import covers
from postlaw_sending.worker.live_batch import LiveBatch

AWAITED_S = 10.0  # whoever waits for an answer has it by then (stop/await_stopped.py)


@dataclass(slots=True)
class _Said:
    offset: int
    until: float
    handed: list[Handed] = field(default_factory=list[Handed])
    known: bool = False


class LatelyStopped:
    """Of one partition."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._said: dict[tuple[bytes, str], _Said] = {}
        self._monotonic = monotonic

    def say(self, offset: int, tag: bytes, scope: str) -> None:
        self._said[tag, scope] = _Said(offset, self._monotonic() + AWAITED_S)

    def handed(self, batches: Collection[LiveBatch], waiting: Collection[int]) -> list[Handed]:
        """Their messages that are out. Each is looked for until no hand-off to them is under way any more (`waiting`: offsets of those for
        whom one is), and not again at each mark."""
        now = self._monotonic()
        self._said = {who: said for who, said in self._said.items() if said.until > now}
        for (tag, scope), said in self._said.items():
            if not said.known:
                said.handed = list(out(batches, lambda t, s, tag=tag, scope=scope: t == tag and covers(scope, s)))
                said.known = said.offset not in waiting
        return [one for said in self._said.values() for one in said.handed]


def out(batches: Iterable[LiveBatch], wanted: Callable[[bytes, str], bool] = lambda tag, scope: True) -> Iterator[Handed]:
    """The messages of these batches that were handed over, or may have been."""
    for batch in batches:
        for index, tag in enumerate(batch.tags):
            if batch.states[index] in (SENT, UNKNOWN) and wanted(tag, batch.scope):
                yield Handed(tag, batch.scope, batch.started_at_us + batch.after_us[index])
