"""Hand-offs against a source that we do not write (promise S8): what a relay's log, or what came back, says that it had.

The other side is put down on disk first (SQLite's own temporary file), so that memory stays constant whatever a log's length; then every
settled batch is read once, and every single message, which keeps what became of it. A single message that has not come to its end yet may
have gone out, or not.
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
from postlaw_sending.handoffs.exim_log import said_by_exim
from postlaw_sending.handoffs.postfix_log import said_by_postfix
from postlaw_sending.handoffs.relay_log import Accepted, lines_in
from postlaw_sending.messages.return_path import PERSON, SentMessage
from postlaw_sending.returns.wire import RETURNS
from postlaw_sending.singles.domain import Handed

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
    said = said_by_postfix(line, now) or said_by_exim(line)
    if isinstance(said, Accepted):
        message = read(said.sender)
        if message is None:
            return 0
        seen.add(message, said.queue_id, said.at_us)
        return 1
    if said is not None:
        seen.ended(said.queue_id, said.status)
    return 0


class HandOffs:
    """`batches`: sending's collection of settled batches. `singles`: all single messages, in pages. `before_us`: what is younger is left
    alone."""

    def __init__(
        self,
        batches: Callable[[], Collection],
        singles: Callable[[], AsyncGenerator[list[Handed]]],
        bus: Bus,
        before_us: Callable[[], int],
    ) -> None:
        self._batches = batches
        self._singles = singles
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
                            if back.address_key:
                                place = on_bus(record.topic, record.partition, record.offset)
                                seen.add(SentMessage(back.campaign_id, back.address_key[:PERSON]), place)
                async with aclosing(self._against(seen, "something came back of", both_ways=False)) as steps:
                    async for step in steps:
                        yield step

        return Check("hand-offs against returns", look)

    async def _against(self, seen: Seen, told: str, *, both_ways: bool) -> AsyncGenerator[Step]:
        """Goes on from the beginning alone: what the other side had is not kept."""
        since_us, until_us = seen.first_us + MARGIN_US, seen.last_us - MARGIN_US

        def lacks(message_id: str, key: bytes, state: int, at_us: int) -> bool:
            there = state in WENT_OUT and seen.went_out(message_id, key[:PERSON])
            return both_ways and not there and state == State.SENT and since_us <= at_us <= until_us

        async with aclosing(self._batches().scan()) as pages:
            async for page in pages:
                looked_at, found = 0, list[Difference]()
                for document in page:
                    said = sending.BatchSettled.FromString(bytes(document["event"]))
                    looked_at += len(said.address_keys)
                    for number, (key, state) in enumerate(zip(said.address_keys, said.states, strict=True)):
                        at_us = said.started_at_us + (said.handed_over_after_us[number] if said.handed_over_after_us else 0)
                        if lacks(said.campaign_id, key, state, at_us):
                            found.append(_lacking(said.tenant_id, said.campaign_id, key, document["_id"]))
                    await step_aside()
                yield Step("", looked_at, found)
        async with aclosing(self._singles()) as singles:
            async for handed in singles:
                yield Step("", len(handed), [
                    _lacking(one.tenant_id, one.message_id, one.address_key, one.attempt_id)
                    for one in handed
                    if lacks(one.message_id, one.address_key, State.UNKNOWN if one.state is None else one.state, one.handed_us)
                ])  # fmt: skip
                await step_aside()
        for rows in seen.unknown():
            yield Step("", len(rows), [_said(f"{told} a message that no outcome says went out", row) for row in rows])
        for rows in seen.again() if both_ways else ():
            yield Step("", 0, [_said(f"{told} a message twice", row) for row in rows])


def _lacking(tenant_id: str, message_id: str, key: bytes, place: str) -> Difference:
    ids = (message_id, key[:PERSON].hex(), place)
    return Difference("a message handed over of which the relay's log knows nothing", ids, tenant_id)


def _said(what: str, row: Row) -> Difference:
    campaign_id, person, id, status = row
    return Difference(what, (campaign_id, person.hex(), f"{id} {status}".strip()))
