"""An implied consent that has run out is told: an event in the ledger, on the bus and in the log, on the day and within a minute.

The gate does not wait for it: the law itself ends the route to the second. A restart, or days without any instance, lose nothing:
the sweep begins where the last one ended. When the law changes, all that is still to come is looked at again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date, timedelta

from postlaw_common.bus import BusUnavailable
from postlaw_common.errors import PostlawError
from postlaw_common.ids import new_id
from postlaw_common.ordered_text import to_bytes
from postlaw_common.store import AlreadyExists, Collection, CollectionSpec, StoreUnavailable, VersionConflict
from postlaw_common.telemetry import get_logger
from postlaw_consent.domain.event import Actor, ConsentEvent
from postlaw_consent.domain.fold import Fold, fold
from postlaw_consent.domain.message import Asked
from postlaw_consent.domain.particulars import Particulars
from postlaw_consent.domain.scope import Belongs, scope_of
from postlaw_consent.expiries import Due, Expiries
from postlaw_consent.ledger import Ledger, Line
from postlaw_consent.outgoing import Outgoing
from postlaw_consent.use_cases.get_decisions import SenderOf
from postlaw_law.clocks import instant
from postlaw_law.deciding import Campaign
from postlaw_law.facts import Grant
from postlaw_law.law import Law

CLOCK = CollectionSpec("clock")

EVERY_S = 30.0  # an event within a minute
NEVER_CAME_US = 24 * 3600 * 1_000_000  # a note whose event is not there by then was left by a crash
_AHEAD_DAYS = 3 * 366  # the longest that any law lets an implied consent last, and more
_CLOCK = "swept"
_ACTOR = Actor("service", "consent")

_log = get_logger(__name__)


class ExpireConsents:
    """`clock`: the collection of the one document that says up to which day was swept, and under which law."""

    def __init__(
        self,
        ledger: Ledger,
        expiries: Expiries,
        clock: Callable[[], Collection],
        outgoing: Outgoing,
        generation: Callable[[], str],
        law: Law,
        sender_of: SenderOf,
        now_us: Callable[[], int],
    ) -> None:
        self._ledger = ledger
        self._expiries = expiries
        self._clock = clock
        self._outgoing = outgoing
        self._generation = generation
        self._law = law
        self._sender_of = sender_of
        self._now_us = now_us

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.sweep()
            except (StoreUnavailable, PostlawError) as gone:
                _log.warning("what expires waits", failure=type(gone).__name__)
            await asyncio.sleep(EVERY_S)

    async def sweep(self) -> int:
        """One pass; how many were told. Raises StoreUnavailable, and PostlawError where identity cannot say where a sender stands."""
        today = instant(self._now_us()).date()
        swept = await self._clock().get(_CLOCK)
        first = date.fromisoformat(swept["day"]) if swept else today - timedelta(days=1)
        last = today
        if swept and swept["law"] != self._law.version:
            last = today + timedelta(days=_AHEAD_DAYS)
        told = 0
        day = min(first, today)
        while day <= last:
            async for page in self._expiries.of_day(day):
                for due in page:
                    told += await self._look_at(due)
            day += timedelta(days=1)
        await self._note_swept(today, swept["v"] if swept else None)
        return told

    async def _note_swept(self, today: date, version: int | None) -> None:
        document = {"_id": _CLOCK, "day": today.isoformat(), "law": self._law.version}
        try:
            if version is None:
                await self._clock().insert(document)
            else:
                await self._clock().replace(document, version=version)
        except (AlreadyExists, VersionConflict):
            return  # another instance swept as well

    async def _look_at(self, due: Due) -> bool:
        now = self._now_us()
        address_key = to_bytes(due.event.split("/")[2])
        history = await self._ledger.history(due.tenant_id, address_key)
        if len(history) < due.version:
            if due.noted_us < now - NEVER_CAME_US:
                await self._expiries.forget(due)
            return False
        state = fold(line.fact for line in history)
        grant = next((one for alike in state.grants.values() for one in alike if one.id == str(due.version)), None)
        line = history[due.version - 1]
        ends_us = await self._ends(due.tenant_id, state, grant, line.fact.scope) if grant else None
        if grant is None or ends_us is None:  # declared invalid, replaced by a later one, or without an end
            await self._expiries.forget(due)
        elif ends_us > now:
            if ends_us != due.ends_us:
                await self._expiries.move(due, ends_us)
        elif await self._tell(due, history, address_key):
            await self._expiries.forget(due)
            return True
        return False

    async def _ends(self, tenant_id: str, state: Fold, grant: Grant, scope: str) -> int | None:
        message = Asked().by(await self._sender_of(tenant_id), Belongs(scope_of(scope)))
        return Campaign(message, self._law, instant(self._now_us())).ends_at_us(state.person(), grant)

    async def _tell(self, due: Due, history: list[Line], address_key: bytes) -> bool:
        """False where the person's history has moved meanwhile: the next sweep looks again."""
        line, now = history[due.version - 1], self._now_us()
        event = ConsentEvent(
            event_id=new_id("evt"),
            tenant_id=due.tenant_id,
            address_key=address_key,
            version=history[-1].fact.version + 1,
            kind="expired",
            scope=scope_of(line.fact.scope),
            route="api",
            at_us=max([now, *(one.fact.at_us for one in history)]),
            recorded_at_us=now,
            actor=_ACTOR,
            particulars=Particulars(refers_to=line.event().event_id, refers_to_version=due.version),
        )
        try:
            told = await self._ledger.append(self._ledger.entry(event))
        except AlreadyExists:
            return False
        try:
            [offset] = await self._outgoing.publish_lines([told])
        except BusUnavailable:
            return True  # the relay publishes it
        await self._ledger.note_published([(told, offset)], self._generation())
        return True
