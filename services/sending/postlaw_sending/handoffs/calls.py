"""gRPC → a relay's log held against what was handed over to it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import closing

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.errors import Conflict, Invalid
from postlaw_common.reconciling.runs import Reconciler
from postlaw_common.reconciling.wire import reconciliation
from postlaw_common.store import VersionConflict
from postlaw_sending.handoffs.reconciling import HandOffs, Seen, spool_relay_log
from postlaw_sending.messages.return_path import SentMessage


class ReconcileRelayLog:
    """`read`: see ReturnPaths."""

    def __init__(
        self, reconciler: Reconciler, hand_offs: HandOffs, read: Callable[[str], SentMessage | None], now_us: Callable[[], int]
    ) -> None:
        self._reconciler = reconciler
        self._hand_offs = hand_offs
        self._read = read
        self._now_us = now_us

    async def __call__(self, pieces: AsyncIterator[sending.RelayLogPiece]) -> audit.Reconciliation:
        """Raises Invalid for a log without one message of ours, Conflict while another process is at it."""

        async def data() -> AsyncGenerator[bytes]:
            async for piece in pieces:
                yield piece.data

        with closing(Seen()) as seen:
            if not await spool_relay_log(seen, data(), self._read, self._now_us()):
                raise Invalid(
                    "The log names no message of ours: give Postfix's own, with its queue manager's lines (`from=<b+…>`), or Exim's main "
                    "log (`<= b+…`)."
                )
            try:
                found = await self._reconciler.look(self._hand_offs.against_relay_log(seen), asked=True)
            except VersionConflict:
                raise Conflict("Another process is reconciling a relay's log now. Ask again when it is done.") from None
        assert found is not None, "what is asked for is looked at"
        return reconciliation("sending", found)
