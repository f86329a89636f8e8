"""Every decision again, from what was stored: the ledger's first events of each person, the message, the instant, the law of that day.

Under its own law each must come out as it was made. Under another one, what differs is what a change of the law would open and close.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from postlaw_common.bus import Received
from postlaw_common.store import Collection
from postlaw_consent.decisions_made import Made
from postlaw_consent.domain.gate import Gate, standing_of
from postlaw_consent.ledger import begin_of, id_of
from postlaw_law.decision import Decision
from postlaw_law.law import Law

_DOCUMENTS = 300  # asked for at a time
_MOST_NAMED = 1_000

Codes = tuple[str, ...]


class UnknownLaw(Exception):
    """Decided under a law of which this installation has no copy."""


@dataclass(frozen=True, slots=True)
class Differs:
    """`batch`: the event in which the decision stands. `was` and `now`: codes of reasons, none where the answer was yes."""

    batch: str
    address_key: bytes
    was: Codes
    now: Codes


@dataclass(slots=True)
class Replayed:
    """`differ` holds the first thousand; `by_change` counts all of them, by (codes before, codes after). `opened` and `closed`: of those,
    how many went from no to yes, and from yes to no. `inputs_differ`: batches whose stored hash is not that of what is stored."""

    batches: int = 0
    decisions: int = 0
    opened: int = 0
    closed: int = 0
    differ: list[Differs] = field(default_factory=list[Differs])
    by_change: Counter[tuple[Codes, Codes]] = field(default_factory=Counter[tuple[Codes, Codes]])
    inputs_differ: list[str] = field(default_factory=list[str])

    @property
    def as_made(self) -> bool:
        return not self.by_change and not self.inputs_differ


class ReplayDecisions:
    """`ledger`: its collection. `law_of`: a law by its version. `decode`: the wire's, of a record's bytes. `progress` is told how far it
    is after each page. `under`: another law to decide under, None for each decision's own."""

    def __init__(
        self,
        ledger: Collection,
        law_of: Callable[[str], Awaitable[Law | None]],
        decode: Callable[[bytes], Made],
        progress: Callable[[Replayed], None],
        *,
        under: Law | None = None,
    ) -> None:
        self._ledger = ledger
        self._law_of = law_of
        self._decode = decode
        self._progress = progress
        self._under = under

    async def __call__(self, pages: AsyncIterable[Sequence[Received]], wanted: Callable[[Made], bool]) -> Replayed:
        """Raises UnknownLaw, StoreUnavailable, and whatever `pages` raises. Changes nothing anywhere."""
        done = Replayed()
        async for records in pages:
            for record in records:
                made = self._decode(record.value)
                if wanted(made):
                    await self._replay(made, record.headers["ce_id"].decode(), done)
            self._progress(done)
        return done

    async def _replay(self, made: Made, batch: str, done: Replayed) -> None:
        law = self._under or await self._law_of(made.law_version)
        if law is None:
            raise UnknownLaw(f"batch {batch} was decided under law {made.law_version}, of which there is no copy here")
        gate = Gate(made.asked.by(made.sender, made.belongs), law, made.decided_at_us)
        for address_key, place, end, texts in zip(made.address_keys, made.places, made.ends, await self._texts(made), strict=True):
            was, now = made.verdicts[place], gate.verdicts[gate.verdict(address_key, standing_of(texts))]
            if not alike(was, now) or gate.ends[-1] != end:
                _note(Differs(batch, address_key, _codes(was), _codes(now)), was.allow, now.allow, done)
        if self._under is None and gate.inputs() != made.inputs:
            done.inputs_differ.append(batch)
        done.batches += 1
        done.decisions += len(made.address_keys)

    async def _texts(self, made: Made) -> list[list[str]]:
        """Of each person, the texts of the events that were decided on."""
        names = [
            [id_of(begin_of(made.tenant_id, made.partition, address_key), version) for version in range(1, count + 1)]
            for address_key, count in zip(made.address_keys, made.events, strict=True)
        ]
        wanted = [name for theirs in names for name in theirs]
        found: dict[str, str] = {}
        for begin in range(0, len(wanted), _DOCUMENTS):
            documents = await self._ledger.get_many(wanted[begin : begin + _DOCUMENTS])
            found.update((name, document["fact"]) for name, document in documents.items())
        # An event that is gone is no fact: the hash then tells that something is missing.
        return [[found[name] for name in theirs if name in found] for theirs in names]


def alike(was: Decision, now: Decision) -> bool:
    """Whether they say the same of message and person; when they end, on which events they rest, and under which law, is left out."""
    return (was.allow, was.reasons, was.basis or {}, was.obligations, was.tracking) == (
        now.allow, now.reasons, now.basis or {}, now.obligations, now.tracking,
    )  # fmt: skip


def _note(differs: Differs, was: bool, now: bool, done: Replayed) -> None:
    done.by_change[differs.was, differs.now] += 1
    done.opened += now and not was
    done.closed += was and not now
    if len(done.differ) < _MOST_NAMED:
        done.differ.append(differs)


def _codes(decision: Decision) -> Codes:
    return tuple(reason.code for reason in decision.reasons)
