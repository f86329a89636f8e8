"""A live batch: up to 200 people of one partition on their way to a final state each, and the claims on them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from opentelemetry.trace import Span

from postlaw_sending.messages.campaign import Recipient as ToRender
from postlaw_sending.stop.holding import CLAIMED, DEFERRED, PENDING, BatchRecord, OpenClaim, Place
from postlaw_sending.worker.routes import ANYWHERE, Route

CLAIM_SIZE = 32  # recipients a claim, at most: what a lost worker may leave unknown a connection


class Recipient(ToRender, Protocol):
    """One person of an opened batch, as campaigns.opening gives it. With `refusals`, nothing else of them is known."""

    @property
    def address_key(self) -> bytes: ...
    @property
    def tracking(self) -> int: ...
    @property
    def refusals(self) -> Sequence[str]: ...


class Compiled(Protocol):
    """A compiled campaign, as messages.compile_campaign gives it."""

    def render(self, recipient: Recipient) -> bytes: ...
    def envelope_from(self, recipient: Recipient) -> bytes: ...


@dataclass(slots=True)
class LiveBatch:
    """`states` etc. run side by side with `recipients`; so do `routes`, of which there are none where all mail goes to one relay.
    Times in microseconds since the epoch."""

    place: Place
    tenant_id: str
    campaign_id: str
    number: int
    attempt: int
    scope: str
    consent_offset: int
    law_version: str
    inputs_hash: bytes  # of the first gate's decision
    decided_at_us: int
    expires_at_us: int
    recipients: Sequence[Recipient]
    tags: list[bytes]
    compiled: Compiled
    event_id: str
    started_at_us: int
    states: bytearray
    after_us: list[int]
    transports: bytearray
    reasons: dict[int, str] = field(default_factory=dict[int, str])
    routes: Sequence[Route] = ()
    queues: dict[Route, list[int]] = field(default_factory=dict[Route, list[int]])  # indexes still pending, last first
    unclaimed: int = 0  # how many these are
    open: int = 0  # recipients in no final state
    span: Span | None = None  # of the whole batch: there is none for a recipient

    def __post_init__(self) -> None:
        pending = [index for index in range(len(self.states) - 1, -1, -1) if self.states[index] == PENDING]
        self.unclaimed = len(pending)
        if self.routes:
            for index in pending:
                self.queues.setdefault(self.routes[index], []).append(index)
        else:
            self.queues = {ANYWHERE: pending}
        self.open = sum(1 for state in self.states if state in (PENDING, CLAIMED))

    def settle(self, index: int, state: int, reason: str, at_us: int) -> None:
        """A recipient's end (or, DEFERRED, its end in this batch)."""
        self.states[index] = state
        if reason:
            self.reasons[index] = reason
        if at_us:
            self.after_us[index] = min(max(1, at_us - self.started_at_us), 0xFFFFFFFF)
        self.open -= 1

    def put_off(self, reason: str) -> None:
        """Nobody who is still pending is handed over from this batch; they come again in another."""
        for route in self.queues:
            self.settle_unclaimed(route, DEFERRED, reason)

    def settle_unclaimed(self, route: Route, state: int, reason: str) -> None:
        """Of everyone who is still pending there: nothing of them was begun."""
        pending = self.queues.get(route, [])
        for index in pending:
            self.settle(index, state, reason, 0)
        self.unclaimed -= len(pending)
        pending.clear()

    def record(self) -> BatchRecord:
        return BatchRecord(
            job_offset=self.place.offset,
            single=self.place.single,
            event_id=self.event_id,
            consent_offset=self.consent_offset,
            started_at_us=self.started_at_us,
            states=bytes(self.states),
            after_us=struct.pack(f"<{len(self.after_us)}I", *self.after_us),  # at every write of the holding: packed in one go
            reasons=dict(self.reasons),
            transports=bytes(self.transports),
        )


@dataclass(slots=True, eq=False)
class Claim:
    """Recipients of one batch, noted durably before any MAIL. `todo` are those not yet handed over, first last."""

    batch: LiveBatch
    route: Route
    indexes: list[int]
    todo: list[int]
    left: int

    @classmethod
    def take(cls, batch: LiveBatch, route: Route = ANYWHERE, most: int = CLAIM_SIZE) -> Claim:
        queue = batch.queues[route]
        indexes = [queue.pop() for _ in range(min(most, len(queue)))]
        for index in indexes:
            batch.states[index] = CLAIMED
        batch.unclaimed -= len(indexes)
        return cls(batch, route, indexes, indexes[::-1], len(indexes))

    def settle(self, index: int, state: int, reason: str, at_us: int) -> bool:
        """True when this was the claim's last recipient."""
        self.batch.settle(index, state, reason, at_us)
        self.left -= 1
        return self.left == 0

    def give_back(self) -> None:
        """Those that were never handed over are pending again."""
        queue = self.batch.queues[self.route]
        for index in self.todo:
            self.batch.states[index] = PENDING
            queue.append(index)
        self.batch.unclaimed += len(self.todo)
        self.left -= len(self.todo)
        self.todo = []

    def record(self) -> OpenClaim:
        batch = self.batch
        open_now = [index for index in self.indexes if batch.states[index] == CLAIMED]
        tags = [batch.tags[index] for index in open_now]
        return OpenClaim(batch.place.offset, open_now, tags, batch.scope, batch.place.single)


def expand(record: BatchRecord) -> tuple[bytearray, list[int], bytearray]:
    """The states, times and transports that a predecessor left in the ledger; one of an earlier version noted no transports."""
    size = len(record.states)
    return bytearray(record.states), list(struct.unpack(f"<{size}I", record.after_us)), bytearray(record.transports or bytes(size))
