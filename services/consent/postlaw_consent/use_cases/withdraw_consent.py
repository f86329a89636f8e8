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

from postlaw_common.errors import Conflict, Unavailable
from postlaw_common.events import Event
from postlaw_common.foreground import answering
from postlaw_common.ids import new_id
from postlaw_common.store import AlreadyExists
from postlaw_common.telemetry import get_logger, meter
from postlaw_consent.afterwards import Afterwards
from postlaw_consent.answers import Answers
from postlaw_consent.domain.event import Actor, ConsentEvent, Kind, Route, person_of
from postlaw_consent.domain.fold import fold
from postlaw_consent.domain.particulars import NONE_STATED, Particulars
from postlaw_consent.domain.scope import Scope
from postlaw_consent.ledger import Entry, Ledger, Line
from postlaw_consent.outgoing import Outgoing
from postlaw_consent.referring import referring

Outcome = Literal["stopped", "recorded"]

WITHIN_S = 8.0  # of a caller's ten: an honest "recorded" must still arrive
_TRIES = 20

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


@dataclass(frozen=True, slots=True)
class Request:
    """Who says stop to what, and how: `kind` is one of CLOSING. `campaign_id`: of the message whose link was used. `source`: why, where it
    is no act of the person. `unless_standing`: a pause, or a no to tracking, that stands just so already is not said again; a withdrawal
    never is."""

    tenant_id: str
    address_key: bytes
    scope: Scope
    route: Route
    actor: Actor
    on_behalf_of: Actor | None = None
    campaign_id: str = ""
    idempotency_key: str = ""
    kind: Kind = "withdrawn"
    particulars: Particulars = NONE_STATED
    unless_standing: bool = False
    source: str = ""


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

    async def _withdraw(self, request: Request) -> Receipt:
        ends = asyncio.get_running_loop().time() + self._within_s
        line, repeated = await self._commit(request)
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
            already_withdrawn=repeated,
            partition=line.partition,
            offset=-1 if offset is None else offset,
            epoch=stop.epoch,
            relay_may_hold=stop.relay_may_hold,
            relay_until_us=stop.relay_until_us,
        )
        self._tell(receipt)
        return receipt

    async def _commit(self, request: Request) -> tuple[Line, bool]:
        """The withdrawal that stands in the ledger, and whether it stood there before."""
        for _ in range(_TRIES):
            history = await self._ledger.history(request.tenant_id, request.address_key)
            if _standing(history, request) is not None:
                # A stale read would hide that the scope was reopened since: look again behind a fence.
                await self._ledger.fence()
                history = await self._ledger.history(request.tenant_id, request.address_key)
                if (line := _standing(history, request)) is not None:
                    return line, True
            try:
                return await self._ledger.append(self._entry(request, history)), False
            except AlreadyExists:
                continue
        raise Unavailable("This person's entries change too fast right now. Try again.", retry_after_s=1)

    def _entry(self, request: Request, history: list[Line]) -> Entry:
        now = self._now_us()
        event = ConsentEvent(
            event_id=new_id("evt"),
            tenant_id=request.tenant_id,
            address_key=request.address_key,
            version=history[-1].fact.version + 1 if history else 1,
            kind=request.kind,
            scope=request.scope,
            route=request.route,
            at_us=max([now, *(line.fact.at_us for line in history)]),  # clocks of two instances may differ
            recorded_at_us=now,
            actor=request.actor,
            on_behalf_of=request.on_behalf_of,
            source=request.source,
            campaign_id=request.campaign_id,
            idempotency_key=request.idempotency_key,
            particulars=referring(request.particulars, ((line.fact.version, line.event().event_id) for line in history)),
        )
        return self._ledger.entry(event)

    async def _publish(self, line: Line, ends: float) -> int | None:
        """The offset; None where the bus did not take it in time: the relay publishes it later."""
        publishing = self._afterwards.begin(self._publish_and_note(line), what="publishing a withdrawal")
        await asyncio.wait({publishing}, timeout=max(0.0, ends - asyncio.get_running_loop().time()))
        if not publishing.done() or publishing.cancelled() or publishing.exception() is not None:
            return None
        return publishing.result()

    async def _publish_and_note(self, line: Line) -> int:
        [offset] = await self._outgoing.publish_lines([line])
        self._afterwards.begin(self._ledger.note_published(line, offset, self._generation()), what="noting an offset")
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


def _standing(history: list[Line], request: Request) -> Line | None:
    """The earlier withdrawal that this request repeats; None where a new one is needed."""
    if request.idempotency_key:
        for line in history:
            if line.event().idempotency_key == request.idempotency_key:
                if line.fact.kind != request.kind or line.fact.scope != request.scope.key:
                    raise Conflict("This idempotency key was used for something else of this person.", type="idempotency-key-reused")
                return line
    state = fold(line.fact for line in history)
    version: int | None = None  # each complaint, objection, restriction … is an act of its own
    if request.kind == "withdrawn":
        version = state.standing_withdrawal(request.scope)
    elif request.unless_standing and request.kind == "paused":
        version = state.standing_pause(request.particulars.until_us)
    elif request.unless_standing and request.kind == "tracking_withdrawn":
        version = state.standing_no_to_tracking()
    return next((line for line in history if line.fact.version == version), None)
