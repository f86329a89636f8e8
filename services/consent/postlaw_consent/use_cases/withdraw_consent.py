"""A person says stop: ledger, bus, and the answer that sending gives (design §3, rule 1).

The insert into the ledger is the commit. Whatever fails before it is an error, since nothing was promised; whatever fails
after it makes the answer *recorded*, never an error. All of it runs to its end even if the caller hangs up.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from postlaw_common.errors import Conflict
from postlaw_common.events import Event
from postlaw_common.foreground import answering
from postlaw_common.ids import new_id
from postlaw_common.store import StoreUnavailable
from postlaw_common.telemetry import get_logger, meter
from postlaw_consent.afterwards import Afterwards
from postlaw_consent.answers import Answers
from postlaw_consent.committing import Committing, Request
from postlaw_consent.domain.event import person_of
from postlaw_consent.domain.gate import Standing
from postlaw_consent.domain.scope import Scope
from postlaw_consent.ledger import Ledger, Line
from postlaw_consent.outgoing import Outgoing

Outcome = Literal["stopped", "recorded"]

WITHIN_S = 8.0  # of a caller's ten: an honest "recorded" must still arrive
AGAIN_S = 0.5

_log = get_logger(__name__)
_answered = meter("postlaw.consent").create_histogram(
    "postlaw.consent.withdrawal.duration",
    unit="s",
    description="Withdrawals answered, by outcome (stopped, recorded, failed, conflict) and route",
    explicit_bucket_boundaries_advisory=[0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10],
)


@dataclass(frozen=True, slots=True)
class Stop:
    """Sending's answer. `epoch`: of the holding that it rests on, 0 for none. `relay_may_hold`: messages that a relay with a queue of its
    own may still have, at most, until `relay_until_us` (0 where it has none)."""

    outcome: Outcome
    epoch: int = 0
    relay_may_hold: int = 0
    relay_until_us: int = 0


_UNCONFIRMED = Stop("recorded")


@dataclass(frozen=True, slots=True)
class Receipt:
    """`offset` -1: not published in time. `epoch` and what follows: as Stop has them."""

    event_id: str
    tenant_id: str
    address_key: bytes
    scope: Scope
    outcome: Outcome
    withdrawn_at_us: int
    answered_at_us: int
    already_withdrawn: bool
    partition: int
    offset: int = -1
    epoch: int = 0
    relay_may_hold: int = 0
    relay_until_us: int = 0


class AwaitStopped(Protocol):
    """May raise anything."""

    async def __call__(
        self, tenant_id: str, address_key: bytes, scope: Scope, partition: int, offset: int, generation: str, *, timeout: float
    ) -> Stop: ...


class WithdrawConsent:
    def __init__(
        self,
        ledger: Ledger,
        outgoing: Outgoing,
        answers: Answers,
        await_stopped: AwaitStopped,
        encode_answer: Callable[[Receipt], bytes],
        generation: Callable[[], str],
        afterwards: Afterwards,
        now_us: Callable[[], int],
        known: Callable[[str, bytes], Standing],
        within_s: float = WITHIN_S,
    ) -> None:
        self._ledger = ledger
        self._outgoing = outgoing
        self._answers = answers
        self._await_stopped = await_stopped
        self._encode_answer = encode_answer
        self._generation = generation
        self._afterwards = afterwards
        self._now_us = now_us
        self._commit = Committing(ledger, known, now_us)
        self._within_s = within_s

    async def __call__(self, request: Request) -> Receipt:
        """Raises Unavailable or StoreUnavailable where the ledger did not take it, Conflict for a reused idempotency key."""
        return await asyncio.shield(self._afterwards.begin(self._measured(request), what="withdrawal"))

    async def _measured(self, request: Request) -> Receipt:
        began, outcome = time.perf_counter(), "failed"
        try:
            with answering():
                receipt = await self._withdraw(request)
            outcome = receipt.outcome
        except Conflict:
            outcome = "conflict"  # the caller's own key, used for something else: nothing of ours has failed
            raise
        finally:
            _answered.record(time.perf_counter() - began, {"outcome": outcome, "route": request.route})
        return receipt

    async def _withdraw(self, request: Request, *, read: bool = False) -> Receipt:
        ends = asyncio.get_running_loop().time() + self._within_s
        committed = await self._commit(request, read=read)
        line = committed.line
        if committed.unread:
            self._afterwards.begin(self._make_sure(request, line), what="looking for what a withdrawal follows")
        # An offset of earlier topics means nothing now: the withdrawal is published once more, into those that workers read.
        noted = line.offset if line.generation == self._generation() else None
        offset = noted if noted is not None else await self._publish(line, ends)
        stop = _UNCONFIRMED
        # No worker waits for a no to tracking: it acts through the next first gate, and what is on its way may still be tracked.
        if offset is not None and request.kind != "tracking_withdrawn":
            stop = await self._ask(request, line.partition, offset, ends)
        receipt = Receipt(
            event_id=line.event().event_id,
            tenant_id=request.tenant_id,
            address_key=request.address_key,
            scope=request.scope,
            outcome=stop.outcome,
            withdrawn_at_us=line.fact.at_us,
            answered_at_us=self._now_us(),
            already_withdrawn=committed.repeated,
            partition=line.partition,
            offset=-1 if offset is None else offset,
            epoch=stop.epoch,
            relay_may_hold=stop.relay_may_hold,
            relay_until_us=stop.relay_until_us,
        )
        self._tell(receipt)
        return receipt

    async def _make_sure(self, request: Request, line: Line) -> None:
        """A store that was set back (a leader that had not told the others, a backup) may lack what was known, and the line behind that
        gap is never read: then the withdrawal is said again."""
        while True:
            try:
                if not await self._ledger.is_next(line):
                    _log.error("a withdrawal stood behind a gap in the ledger, and is said again", partition=line.partition)
                    await self._withdraw(request, read=True)
                return
            except StoreUnavailable:
                await asyncio.sleep(AGAIN_S)

    async def _publish(self, line: Line, ends: float) -> int | None:
        """The offset; None where the bus did not take it in time: the relay publishes it later."""
        publishing = self._afterwards.begin(self._publish_and_note(line), what="publishing a withdrawal")
        await asyncio.wait({publishing}, timeout=max(0.0, ends - asyncio.get_running_loop().time()))
        if not publishing.done() or publishing.cancelled() or publishing.exception() is not None:
            return None
        return publishing.result()

    async def _publish_and_note(self, line: Line) -> int:
        [offset] = await self._outgoing.publish_lines([line])
        self._afterwards.begin(self._ledger.note_soon(line, offset, self._generation()), what="noting an offset")
        return offset

    async def _ask(self, request: Request, partition: int, offset: int, ends: float) -> Stop:
        left = ends - asyncio.get_running_loop().time()
        try:
            return await asyncio.wait_for(
                self._await_stopped(
                    request.tenant_id, request.address_key, request.scope, partition, offset, self._generation(), timeout=left
                ),
                max(0.0, left),
            )
        except Exception as failure:  # the ledger has it, so whatever went wrong here, the honest answer is "recorded"
            _log.warning("the stop could not be confirmed", partition=partition, failure=type(failure).__name__)
            return _UNCONFIRMED

    def _tell(self, receipt: Receipt) -> None:
        person = person_of(receipt.tenant_id, receipt.address_key)
        event = Event(
            id=new_id("evt"),
            type="postlaw.consent.WithdrawalAnswered",
            source="consent",
            subject=person,
            sequence=0,
            tenant_id=receipt.tenant_id,
            time_us=receipt.answered_at_us,
            data=self._encode_answer(receipt),
            actor="service:consent",
        )
        self._answers.tell(event, receipt.partition)
