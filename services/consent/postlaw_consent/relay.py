"""What a crash or a lost bus left between ledger and bus: published by whoever runs.

An event may so be on the bus twice, with the same id and the same bytes. The common outbox would store each event's bytes a
second time; here the document is the event, so a mark or an intent is enough.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from postlaw_common.bus import BusUnavailable
from postlaw_common.store import StoreUnavailable
from postlaw_common.telemetry import get_logger, meter
from postlaw_common.telemetry.gauges import Gauge
from postlaw_consent.intents import Intent, Intents
from postlaw_consent.ledger import Ledger, Line
from postlaw_consent.outgoing import Outgoing

EVERY_S = 1.0
AFTER_US = 3_000_000  # younger ones are still in the hands of the call that wrote them
FORGET_US = 24 * 3600 * 1_000_000  # an intent of which not everything was ever written: no call lives that long
_PAGE = 500

_log = get_logger(__name__)
_published = meter("postlaw.consent").create_counter(
    "postlaw.consent.relay.published", unit="{event}", description="Events that a crash or a lost bus had left unpublished"
)
_unpublished = Gauge(
    "postlaw.consent.withdrawals.unpublished", "{withdrawal}", "Withdrawals in the ledger for seconds that the bus has not taken", max
)


@dataclass(slots=True)
class _Unfinished:
    """An intent of which not everything is written: by a call that died, or by one of another process that takes its time and must not
    lose what it has yet to write. `told`: ids that were published; `again_us`: when to look next, as often as its age doubles."""

    told: set[str] = field(default_factory=set[str])
    again_us: int = 0


class Relay:
    def __init__(
        self,
        ledger: Ledger,
        intents: Intents,
        outgoing: Outgoing,
        generation: Callable[[], str],
        now_us: Callable[[], int],
        *,
        after_us: int = AFTER_US,
    ) -> None:
        self._ledger = ledger
        self._intents = intents
        self._outgoing = outgoing
        self._generation = generation
        self._now_us = now_us
        self._after_us = after_us
        self._waiting: int | None = None  # withdrawals, in the last sweep
        self._unfinished: dict[str, _Unfinished] = {}

    async def run(self) -> None:
        """Until cancelled."""
        with _unpublished.shows(lambda: self._waiting):
            while True:
                try:
                    await self.sweep()
                except (BusUnavailable, StoreUnavailable) as gone:
                    _log.warning("the relay waits", failure=type(gone).__name__)
                await asyncio.sleep(EVERY_S)

    async def sweep(self) -> int:
        """One pass over all that is old enough; the number of events published. Raises BusUnavailable, StoreUnavailable."""
        before = self._now_us() - self._after_us
        published = await self._withdrawals(before)  # first: somebody may still get mail
        after, open = "", set[str]()
        in_hand = self._intents.in_hand()  # before they are read: a call may end in between
        while intents := await self._intents.open(after=after):
            after = intents[-1].id
            for intent in intents:
                open.add(intent.id)
                if intent.at_us <= before and intent.id not in in_hand | self._intents.in_hand():
                    published += await self._finish(intent)
            in_hand = self._intents.in_hand()
        self._unfinished = {id: kept for id, kept in self._unfinished.items() if id in open}
        if published:
            _published.add(published)
            _log.warning("published what a crash or a lost bus had left behind", events=published)
        return published

    async def _withdrawals(self, before: int) -> int:
        published = 0
        after = ""
        while lines := await self._ledger.pending(after=after, limit=_PAGE):
            after = lines[-1].document["_id"]
            old = [line for line in lines if line.event().recorded_at_us <= before]
            self._waiting = len(old)
            offsets = await self._outgoing.publish_lines(old)
            await self._ledger.note_published(zip(old, offsets, strict=True), self._generation())
            published += len(old)
        self._waiting = 0
        return published

    async def _finish(self, intent: Intent) -> int:
        now = self._now_us()
        unfinished = self._unfinished.setdefault(intent.id, _Unfinished())
        if now < unfinished.again_us:
            return 0
        written = await self._written(intent)
        lines = [line for line in written if line.call == intent.id and line.document["_id"] not in unfinished.told]
        if lines:
            await self._outgoing.publish_lines(lines)
        # Where all that it names is there, by whomever, its call writes nothing more.
        if len(written) == len(set(intent.ids)) or intent.at_us < now - FORGET_US:
            await self._intents.end(intent.id)
        unfinished.told.update(line.document["_id"] for line in lines)
        unfinished.again_us = 2 * now - intent.at_us
        return len(lines)

    async def _written(self, intent: Intent) -> list[Line]:
        found: list[Line] = []
        for begin in range(0, len(intent.ids), _PAGE):
            found.extend(await self._ledger.by_ids(intent.ids[begin : begin + _PAGE]))
        return found
