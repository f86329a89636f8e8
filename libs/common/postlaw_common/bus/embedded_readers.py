"""Readers of the embedded bus: by assignment, and as members of a group inside this one process."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence

from postlaw_common.bus import BusUnavailable, Received
from postlaw_common.bus.embedded_log import Log

LOOK_AHEAD = 200  # records of a partition, or a row's worth more, that a reader which lags behind memory unpacks and keeps at once

Load = Callable[[Log, int, int, int], Awaitable[list[Received]]]


class EmbeddedReader:
    """Reads memory where it can, the file where it lags; sleeps until a log that it was assigned grows."""

    def __init__(self, logs: Mapping[tuple[str, int], Log], load: Load, check: Callable[[], None]) -> None:
        self._logs = logs
        self._load = load
        self._check = check  # raises BusUnavailable when the bus is gone
        self._positions: dict[Log, int] = {}
        self._ahead: dict[Log, deque[Received]] = {}
        self._waiting: asyncio.Future[None] | None = None
        self._turn = 0

    async def assign(self, positions: Mapping[tuple[str, int], int]) -> None:
        self.place({self._logs[partition]: offset for partition, offset in positions.items()})

    def place(self, positions: dict[Log, int]) -> None:
        for log, offset in positions.items():
            if offset > log.end:
                raise BusUnavailable(f"{log.topic}/{log.partition} ends at {log.end}, but {offset} was asked for: was its file replaced?")
        for log in self._positions:
            log.wakers.discard(self)
        self._positions = {log: max(offset, log.start) for log, offset in positions.items()}
        self._ahead = {}
        for log in self._positions:
            log.wakers.add(self)
        self.wake()

    @property
    def positions(self) -> Mapping[Log, int]:
        return self._positions

    def wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def read(self, *, max_records: int = 500, timeout: float = 1.0, topic: str = "") -> list[Received]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        # A reader that always finds something must still let others run.
        await asyncio.sleep(0)
        while True:
            self._check()
            found = await self._take(max_records, topic)
            remaining = deadline - loop.time()
            if found or remaining <= 0:
                return found
            self._waiting = loop.create_future()
            timer = loop.call_later(remaining, self.wake)
            try:
                await self._waiting
            finally:
                timer.cancel()
                self._waiting = None

    async def _take(self, room: int, topic: str) -> list[Received]:
        ready = [log for log, position in self._positions.items() if position < log.end and topic in ("", log.topic)]
        if not ready:
            return []
        found: list[Received] = []
        self._turn += 1
        first = self._turn % len(ready)  # so that a busy partition does not starve the others
        for log in ready[first:] + ready[:first]:
            position = self._positions[log]
            if position >= log.tail_start:
                begin = position - log.tail_start
                part = log.tail[begin : begin + room]
                self._ahead.pop(log, None)
            else:
                part = await self._lagging(log, position, room)
                if self._positions.get(log) != position:
                    continue  # assigned anew while the file was read
            if part:
                self._positions[log] = part[-1].offset + 1
                found += part
                room -= len(part)
                if room <= 0:
                    break
        return found

    async def _lagging(self, log: Log, position: int, room: int) -> list[Received]:
        ahead = self._ahead.get(log)
        if not ahead or ahead[0].offset != position:
            loaded = await self._load(log, position, log.end, max(room, LOOK_AHEAD))
            ahead = deque(loaded)
            if self._positions.get(log) == position:
                self._ahead[log] = ahead
        return [ahead.popleft() for _ in range(min(room, len(ahead)))]

    async def close(self) -> None:
        for log in self._positions:
            log.wakers.discard(self)
        self._positions = {}
        self.wake()


class Group:
    """A consumer group: its members inside this process, and the positions that they committed."""

    def __init__(self, name: str, committed: dict[Log, int]) -> None:
        self.name = name
        self.committed = committed
        self.members: list[EmbeddedGroupReader] = []

    def share_out(self, logs: Mapping[tuple[str, int], Log]) -> None:
        """Spreads the partitions of each topic over the members that want it. Who keeps a partition keeps its place in it."""
        shares: dict[EmbeddedGroupReader, dict[Log, int]] = {member: {} for member in self.members}
        for (topic, partition), log in logs.items():
            takers = [member for member in self.members if topic in member.topics]
            if takers:
                taker = takers[partition % len(takers)]
                kept = taker.reader.positions.get(log)
                shares[taker][log] = self.committed.get(log, log.start) if kept is None else kept
        for member, share in shares.items():
            if share.keys() != member.reader.positions.keys():
                member.reader.place(share)


class EmbeddedGroupReader:
    """One member of a group."""

    def __init__(
        self,
        group: Group,
        topics: Sequence[str],
        reader: EmbeddedReader,
        commit: Callable[[Group, dict[tuple[str, int], int]], Awaitable[None]],
        leave: Callable[[EmbeddedGroupReader], None],
    ) -> None:
        self.group = group
        self.topics = frozenset(topics)
        self.reader = reader
        self._commit = commit
        self._leave = leave

    async def read(self, *, max_records: int = 500, timeout: float = 1.0) -> list[Received]:
        return await self.reader.read(max_records=max_records, timeout=timeout)

    async def commit(self, records: Sequence[Received]) -> None:
        positions: dict[tuple[str, int], int] = {}
        for record in records:
            partition = (record.topic, record.partition)
            positions[partition] = max(positions.get(partition, 0), record.offset + 1)
        if positions:
            await self._commit(self.group, positions)

    async def lag(self) -> dict[str, int]:
        behind = dict.fromkeys(sorted(self.topics), 0)
        for log in self.reader.positions:
            behind[log.topic] += log.end - max(log.start, self.group.committed.get(log, log.start))
        return behind

    async def close(self) -> None:
        self._leave(self)
        await self.reader.close()
