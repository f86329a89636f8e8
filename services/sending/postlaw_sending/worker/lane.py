"""A lane: one connection's loop from claim to hand-off."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from postlaw_sending.delivery.replies import Reply
from postlaw_sending.messages import RenderFailed
from postlaw_sending.stop.holding import BOUNCED, DEFERRED, FAILED, REFUSED, SENT, UNKNOWN
from postlaw_sending.stop.holdings import wall_clock_us
from postlaw_sending.stop.second_gate import HandOff
from postlaw_sending.worker.connections import Connection
from postlaw_sending.worker.live_batch import Claim
from postlaw_sending.worker.partition import HeldPartition
from postlaw_sending.worker.turns import Turns

IN_A_ROW = 8  # messages a turn
NO_PERMIT_S = 0.02

_STATES = {"accepted": SENT, "rejected": BOUNCED, "deferred": DEFERRED, "dropped": UNKNOWN}


class Ended:
    """Called with the final reply of one hand-off."""

    __slots__ = ("claim", "hand_off", "index", "mark", "partition")

    def __init__(self, partition: HeldPartition, claim: Claim, index: int, hand_off: HandOff, mark: Callable[[int], None]) -> None:
        self.partition, self.claim, self.index, self.hand_off, self.mark = partition, claim, index, hand_off, mark

    def __call__(self, reply: Reply) -> None:
        state = _STATES[reply.kind]
        if state == UNKNOWN:
            # Before the watermark moves: who waits for this reply must hear that the receiver may yet have the message.
            self.partition.leave_open(self.claim, self.index)
        if self.partition.gate.end(self.hand_off):
            self.mark(self.partition.number)
        reason = "" if state == SENT else "connection_lost" if state == UNKNOWN else f"{reply.code} {reply.text}"
        self.partition.settle(self.claim, self.index, state, reason, reply.at_us)


class Lane:
    """`connection` gives a live connection, waiting for as long as there is none; `status` is a campaign's, from memory.

    `turns` are shared by all lanes: one at a time writes, so that each turn of the event loop is short and others get theirs."""

    def __init__(
        self,
        connection: Callable[[], Awaitable[Connection]],
        status: Callable[[str], str],
        mark: Callable[[int], None],
        turns: Turns,
    ) -> None:
        self._turns = turns
        self._connection = connection
        self._status = status
        self._mark = mark
        self._latest: Connection | None = None
        self.waits = True  # it has nothing to hand over before its next claim is written down

    async def run(self, next_claim: Callable[[Lane], Coroutine[Any, Any, tuple[HeldPartition, Claim]]], hurry: Callable[[], None]) -> None:
        """Background: hands over one claim while the next is being written down, which is hurried once there is nothing else to do: until
        then other lanes' claims go into the same write."""
        await self._connection()
        coming = asyncio.create_task(next_claim(self))
        try:
            while True:
                if not coming.done():
                    self.waits = True
                    hurry()
                partition, claim = await asyncio.shield(coming)
                self.waits = False
                coming = asyncio.create_task(next_claim(self))
                try:
                    await self.hand_over(partition, claim)
                finally:
                    partition.give_back(claim)
        finally:
            coming.cancel()
            if coming.done() and not coming.cancelled() and coming.exception() is None:
                partition, claim = coming.result()
                partition.give_back(claim)

    async def hand_over(self, partition: HeldPartition, claim: Claim) -> None:
        """Every recipient of the claim, up to its write; the replies come in later. Given back where we may not go on."""
        while claim.todo:
            connection = self._latest = await self._connection()
            if not await connection.room():
                continue
            if partition.lost or partition.releasing:
                partition.give_back(claim)
                return
            if not partition.may_send():
                await asyncio.sleep(NO_PERMIT_S)
                continue
            async with self._turns:
                self._hand_over_some(connection, partition, claim)

    def cut_off(self) -> None:
        """The connection is reset where it has still to write what may no longer be sent."""
        if self._latest is not None:
            self._latest.cut_off()

    def _hand_over_some(self, connection: Connection, partition: HeldPartition, claim: Claim) -> None:
        """Corked: several messages in one write, half the processor time. From the first gate to that write there is no await, so
        nothing can be heard in between (rule 4)."""
        connection.cork()
        try:
            for _ in range(min(IN_A_ROW, len(claim.todo))):
                if not connection.has_room or not self._hand_over_next(connection, partition, claim):
                    break
        finally:
            connection.uncork()

    def _hand_over_next(self, connection: Connection, partition: HeldPartition, claim: Claim) -> bool:
        """One recipient: rendered, held against the gate, written. False where there is no permit any more."""
        batch, gate = claim.batch, partition.gate
        index = claim.todo[-1]
        recipient = batch.recipients[index]
        try:
            message = batch.compiled.render(recipient)
            sender = batch.compiled.envelope_from(recipient)
        except RenderFailed as failed:
            claim.todo.pop()
            partition.settle(claim, index, FAILED, failed.reason, 0)
            return True
        if not partition.may_send():
            return False
        refusal = self._refusal(claim, index, partition)
        claim.todo.pop()
        if refusal is not None:
            partition.settle(claim, index, *refusal, 0)
            return True
        hand_off = gate.begin(batch.tags[index], batch.scope)
        batch.transports[index] = connection.transport
        ended = Ended(partition, claim, index, hand_off, self._mark)
        connection.hand_off(sender, recipient.address.encode(), message, ended, partition.may_send)
        return True

    def _refusal(self, claim: Claim, index: int, partition: HeldPartition) -> tuple[int, str] | None:
        batch = claim.batch
        if partition.gate.blocks(batch.tags[index], batch.scope, batch.consent_offset):
            return REFUSED, "withdrawn_before_hand_off"
        status = self._status(batch.campaign_id)
        if status == "paused":
            return DEFERRED, "campaign_paused"
        if status == "cancelled":
            return REFUSED, "campaign_cancelled"
        if wall_clock_us() >= batch.expires_at_us:  # one that names no end has none that we may wait for
            return DEFERRED, "decision_expired"
        return None
