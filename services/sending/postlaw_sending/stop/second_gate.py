"""The second gate of one partition: which recipients are blocked, what is under way, and how far the stop is applied.

All of it is synchronous and in memory, so that nothing can come between the check and the write of MAIL (rule 4). The gate only
closes (rule 6): a consent given never reopens it here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from postlaw_sending.stop.scope import covers


@dataclass(slots=True, eq=False)
class HandOff:
    """One message from MAIL to its final reply."""

    tag: bytes
    scope: str
    awaited_by: list[int] = field(default_factory=list[int])  # offsets of withdrawals that wait for this reply


class SecondGate:
    """`window_start`: withdrawals at or after this consent offset are known here; `next_offset`: the first not yet applied."""

    def __init__(self, start: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.window_start = start
        self.next_offset = start
        self.permit_until = 0.0
        self._monotonic = monotonic
        self._log_end = start
        self._checks: list[tuple[float, int]] = []
        self._blocked: dict[bytes, list[tuple[int, str]]] = {}
        self._under_way: dict[bytes, list[HandOff]] = {}
        self._waiting: dict[int, int] = {}
        self._idle: asyncio.Event | None = None

    # The permit (rule 4): the log's end, as read at a moment, has been applied up to; so we may send for a while after that moment.

    def log_end_read(self, read_at: float, end_offset: int, permit_s: float) -> None:
        """`read_at`: monotonic seconds before the question was asked."""
        self._log_end = end_offset
        self._checks.append((read_at + permit_s, end_offset))
        self._renew()

    def _renew(self) -> None:
        while self._checks and self._checks[0][1] <= self.next_offset:
            self.permit_until = max(self.permit_until, self._checks.pop(0)[0])

    def permitted(self) -> bool:
        return self._monotonic() < self.permit_until

    # Withdrawals

    def block(self, offset: int, tag: bytes, scope: str) -> None:
        """A withdrawal at `offset`, in order or from a look back before the window."""
        self._blocked.setdefault(tag, []).append((offset, scope))

    def apply(self, offset: int, tag: bytes, scope: str) -> None:
        """The next withdrawal of the log: block, and note which final replies it has to wait for."""
        self.block(offset, tag, scope)
        for hand_off in self._under_way.get(tag, ()):
            if covers(scope, hand_off.scope):
                hand_off.awaited_by.append(offset)
                self._waiting[offset] = self._waiting.get(offset, 0) + 1

    def advance(self, next_offset: int) -> None:
        """Everything below `next_offset` has been heard."""
        self.next_offset = next_offset
        self._renew()

    def waiting(self) -> list[int]:
        """Offsets applied, but for a final reply that is still to come."""
        return sorted(self._waiting)

    def forget_before(self, offset: int) -> None:
        """Withdrawals below the oldest live batch's offset were decided on by its first gate."""
        if offset > self.window_start:
            self.window_start = offset
            self._blocked = {
                tag: kept for tag, entries in self._blocked.items() if (kept := [entry for entry in entries if entry[0] >= offset])
            }

    async def idle(self) -> None:
        """Returns once nothing is under way."""
        if self._under_way:
            self._idle = asyncio.Event()
            await self._idle.wait()

    @property
    def behind(self) -> int:
        """Records that the log is known to hold beyond what was applied."""
        return max(0, self._log_end - self.next_offset)

    @property
    def size(self) -> int:
        return len(self._blocked)

    # Hand-offs

    def blocks(self, tag: bytes, scope: str, decided_at_offset: int) -> bool:
        """Whether a withdrawal that the first gate did not know of stands against this message."""
        entries = self._blocked.get(tag)
        return entries is not None and any(offset >= decided_at_offset and covers(withdrawn, scope) for offset, withdrawn in entries)

    def begin(self, tag: bytes, scope: str) -> HandOff:
        hand_off = HandOff(tag, scope)
        self._under_way.setdefault(tag, []).append(hand_off)
        return hand_off

    def end(self, hand_off: HandOff) -> bool:
        """The final reply came, or never will. True when a withdrawal was waiting for just this one."""
        entries = self._under_way[hand_off.tag]
        entries.remove(hand_off)
        if not entries:
            del self._under_way[hand_off.tag]
            if self._idle is not None and not self._under_way:
                self._idle.set()
        released = False
        for offset in hand_off.awaited_by:
            self._waiting[offset] -= 1
            if not self._waiting[offset]:
                del self._waiting[offset]
                released = True
        return released
