"""Hand-offs against a source that we do not write (promise S8): what a relay's log, or what came back, says that it had.

The other side is put down on disk first (SQLite's own temporary file), so that memory stays constant whatever a log's length; then every
settled batch is read once. Single messages are left out: their batches are not kept.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, closing
from datetime import UTC, datetime
from typing import Final

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.bus import Bus
from postlaw_common.foreground import step_aside
from postlaw_common.reconciling import Check, Difference, Step, on_bus, pages_of
from postlaw_common.store import Collection
from postlaw_sending.campaigns.domain.recipients import State
from postlaw_sending.handoffs.relay_log import Accepted, lines_in, said_in
from postlaw_sending.messages.return_path import PERSON, SentMessage
from postlaw_sending.returns.wire import RETURNS

WENT_OUT: Final = frozenset({State.SENT, State.BOUNCED, State.EXPIRED, State.UNKNOWN, State.DEFERRED})
MARGIN_US: Final = 60_000_000  # between the relay's clock and ours
_PAGE: Final = 500

Row = tuple[str, bytes, str, str]
"""(campaign, person, the other side's id, its status)."""


class Seen:
    """What the other side had: each message by campaign and the beginning of the person's address key. Close it: it is a file."""

    def __init__(self) -> None:
        self._file = sqlite3.connect("")  # an empty name: on disk, private, gone with the connection
        self._file.executescript(
            "pragma journal_mode = off; pragma synchronous = off;"
            "create table seen (campaign, person, id, times, known, primary key (campaign, person)) without rowid;"
            "create table statuses (id primary key, status) without rowid;"
        )
        self.first_us = self.last_us = 0

    def close(self) -> None:
        self._file.close()

    def add(self, message: SentMessage, id: str, at_us: int = 0) -> None:
        """`id`: by which the other side knows it. The same one again is the same message."""
        self._file.execute(
            "insert into seen values (?, ?, ?, 1, 0) on conflict do update set times = times + (id <> excluded.id), id = excluded.id",
            (message.campaign_id, message.person, id),
        )
        if at_us:
            self.first_us = min(self.first_us or at_us, at_us)
            self.last_us = max(self.last_us, at_us)

    def ended(self, id: str, status: str) -> None:
        self._file.execute("insert or replace into statuses values (?, ?)", (id, status))

    def went_out(self, campaign_id: str, person: bytes) -> bool:
        """As we know it. Whether the other side had it."""
        return self._file.execute("update seen set known = 1 where campaign = ? and person = ?", (campaign_id, person)).rowcount > 0

    def unknown(self) -> Iterator[list[Row]]:
        """What the other side had, and of which nothing that we know says that it went out."""
        return self._pages("select campaign, person, id, coalesce(status, '') from seen left join statuses using (id) where not known")

    def again(self) -> Iterator[list[Row]]:
        """What the other side had under two ids."""
        return self._pages("select campaign, person, id, coalesce(status, '') from seen left join statuses using (id) where times > 1")

    def _pages(self, question: str) -> Iterator[list[Row]]:
        rows = self._file.execute(question)
        while page := rows.fetchmany(_PAGE):
            yield page


async def spool_relay_log(seen: Seen, pieces: AsyncGenerator[bytes], read: Callable[[str], SentMessage | None], now_us: int) -> int:
    """How many messages of ours it names. `read`: see ReturnPaths; a return path that does not prove itself is nobody's."""
    now, count, rest = datetime.fromtimestamp(now_us / 1e6, UTC), 0, b""
    async for piece in pieces:
        whole, end, rest = (rest + piece).rpartition(b"\n")
        if not end:
            whole, rest = b"", rest[-65_536:]
        for line in lines_in([whole]):
            count += _take(seen, line, read, now)
        await step_aside()
    return count + _take(seen, rest, read, now)


def _take(seen: Seen, line: bytes, read: Callable[[str], SentMessage | None], now: datetime) -> int:
    said = said_in(line, now)
    if isinstance(said, Accepted):
        message = read(said.sender)
        if message is None or not message.campaign_id.startswith("cmp_"):
            return 0
        seen.add(message, said.queue_id, said.at_us)
        return 1
    if said is not None:
        seen.ended(said.queue_id, said.status)
    return 0


class HandOffs:
    """`batches`: sending's collection of settled batches. `before_us`: what is younger is left alone."""

    def __init__(self, batches: Callable[[], Collection], bus: Bus, before_us: Callable[[], int]) -> None:
        self._batches = batches
        self._bus = bus
        self._before_us = before_us

    def against_relay_log(self, seen: Seen) -> Check:
        """Both ways, within the time of which the log tells; also what the relay took more than once."""
        return Check("hand-offs against the relay's log", lambda _: self._against(seen, "the relay took", both_ways=True))

    def against_returns(self) -> Check:
        """What bounced later, or was complained about, by mail or by a provider's webhook, must have gone out."""

        async def look(cursor: str) -> AsyncGenerator[Step]:
            with closing(Seen()) as seen:
                async with aclosing(pages_of(self._bus, RETURNS, "", self._before_us())) as pages:
                    async for _, records in pages:
                        for record in records:
                            back = sending.MessageReturned.FromString(record.value)
                            if back.address_key and back.campaign_id.startswith("cmp_"):
                                place = on_bus(record.topic, record.partition, record.offset)
                                seen.add(SentMessage(back.campaign_id, back.address_key[:PERSON]), place)
                async with aclosing(self._against(seen, "something came back of", both_ways=False)) as steps:
                    async for step in steps:
                        yield step

        return Check("hand-offs against returns", look)

    async def _against(self, seen: Seen, told: str, *, both_ways: bool) -> AsyncGenerator[Step]:
        """Goes on from the beginning alone: what the other side had is not kept."""
        since_us, until_us = seen.first_us + MARGIN_US, seen.last_us - MARGIN_US
        async for page in self._batches().scan():
            looked_at, found = 0, list[Difference]()
            for document in page:
                said = sending.BatchSettled.FromString(bytes(document["event"]))
                looked_at += len(said.address_keys)
                for number, (key, state) in enumerate(zip(said.address_keys, said.states, strict=True)):
                    if State(state) not in WENT_OUT:
                        continue
                    there = seen.went_out(said.campaign_id, key[:PERSON])
                    at_us = said.started_at_us + said.handed_over_after_us[number] if said.handed_over_after_us else said.started_at_us
                    if both_ways and not there and state == State.SENT and since_us <= at_us <= until_us:
                        ids = (said.campaign_id, key[:PERSON].hex(), document["_id"])
                        found.append(Difference("a message handed over of which the relay's log knows nothing", ids, said.tenant_id))
                await step_aside()
            yield Step("", looked_at, found)
        for rows in seen.unknown():
            yield Step("", len(rows), [_said(f"{told} a message that no outcome says went out", row) for row in rows])
        for rows in seen.again() if both_ways else ():
            yield Step("", 0, [_said(f"{told} a message twice", row) for row in rows])


def _said(what: str, row: Row) -> Difference:
    campaign_id, person, id, status = row
    return Difference(what, (campaign_id, person.hex(), f"{id} {status}".strip()))
