"""Partition views: a tenant's people of one partition, folded once and kept while a campaign asks about them batch after batch.

A view is loaded after its `offset` was read, so every event below that is in it. It catches up by the log: who has a new event
there is folded anew from the ledger, nobody else has changed. Kept for a minute at most, and within a bound on people.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from postlaw_common.bus import Bus
from postlaw_common.foreground import step_aside
from postlaw_common.ordered_text import to_bytes
from postlaw_common.store import Document
from postlaw_consent.domain.gate import NOBODY, Standing, standing_of
from postlaw_consent.ends import Ends
from postlaw_consent.ledger import Ledger, person_in
from postlaw_consent.outgoing import EVENTS
from postlaw_consent.standings import Standings

KEEP_S = 60.0
CATCH_UP_AFTER_S = 0.2
FOLDED_AT_ONCE = 100  # events before others get their turn on the event loop
MOST_PEOPLE = 500_000  # in all views together: some 300 bytes a person, less of those who share
MOST_CHANGES = 2_000  # beyond that, loading anew is quicker than reading person by person


class TooManyPeople(Exception):
    """The partition does not fit into memory beside what is there; decide person by person."""


@dataclass(slots=True)
class View:
    """`offset`: every event of the partition below it is in `people` (by address_key). Times on the monotonic clock."""

    offset: int
    loaded: float
    checked: float
    people: dict[bytes, Standing] = field(default_factory=dict[bytes, Standing])


class Views:
    def __init__(
        self,
        ledger: Ledger,
        standings: Standings,
        bus: Bus,
        ends: Ends,
        *,
        most_people: int = MOST_PEOPLE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._standings = standings
        self._bus = bus
        self._ends = ends
        self._most_people = most_people
        self._clock = clock
        self._views: dict[tuple[str, int], View] = {}
        self._locks: dict[tuple[str, int], asyncio.Lock] = {}
        self._shared: dict[str, str] = {}

    async def get(self, tenant_id: str, partition: int) -> View:
        """A view that is at most a minute old. Raises TooManyPeople, StoreUnavailable, BusUnavailable.

        Use it before the next await: it moves on with the log."""
        place = (tenant_id, partition)
        async with self._locks.setdefault(place, asyncio.Lock()):
            self._drop_old()
            view = self._views.get(place)
            if view is None or (self._clock() - view.checked > CATCH_UP_AFTER_S and not await self._catch_up(view, tenant_id, partition)):
                self._views.pop(place, None)
                view = self._views[place] = await self._load(tenant_id, partition)
            return view

    def known(self, tenant_id: str, address_key: bytes) -> Standing:
        """Where the person stood when a campaign last asked, a minute ago at most; NOBODY where that is not known. There may be more of
        them in the ledger by now."""
        view = self._views.get((tenant_id, self._ledger.partition_of(tenant_id, address_key)))
        if view is None or view.loaded < self._clock() - KEEP_S:
            return NOBODY
        return view.people.get(address_key, NOBODY)

    def _drop_old(self) -> None:
        oldest = self._clock() - KEEP_S
        for place in [place for place, view in self._views.items() if view.loaded < oldest]:
            del self._views[place]
        for place in [place for place, lock in self._locks.items() if place not in self._views and not lock.locked()]:
            del self._locks[place]
        if not self._views:
            self._shared.clear()

    async def _load(self, tenant_id: str, partition: int) -> View:
        offset = await self._ends.end(partition)
        await self._ledger.fence()
        now = self._clock()
        view = View(offset, now, now)
        room = self._room()
        person = ""
        events: list[Document] = []
        async with aclosing(self._ledger.partition(tenant_id, partition)) as pages:
            async for page in pages:
                for place, document in enumerate(page):
                    if place % FOLDED_AT_ONCE == 0:
                        await step_aside()
                    if (next_person := person_in(document)) != person:
                        self._put(view, person, events)
                        person, events = next_person, []
                    events.append(document)
                if len(view.people) > room:
                    room = self._make_room(len(view.people))
        self._put(view, person, events)
        return view

    def _put(self, view: View, person: str, events: Sequence[Document]) -> None:
        if events:
            view.people[to_bytes(person.rpartition("/")[2])] = self._standing([event["fact"] for event in events])

    def _standing(self, texts: list[str]) -> Standing:
        standing = standing_of(texts)
        # An import's people have one text, made anew for each as it is read: one of them is enough.
        return self._shared.setdefault(standing, standing) if isinstance(standing, str) else standing

    async def _catch_up(self, view: View, tenant_id: str, partition: int) -> bool:
        """False where loading anew is better."""
        now = self._clock()
        end = await self._ends.end(partition)
        if end < view.offset or end - view.offset > MOST_CHANGES:
            return False
        if end > view.offset:
            await self._ledger.fence()
            changed = {record.key for record in await self._bus.read_range(EVENTS.name, partition, view.offset, end)}
            mine = tenant_id.encode() + b"/"
            theirs = [bytes.fromhex(key.rpartition(b"/")[2].decode()) for key in changed if key is not None and key.startswith(mine)]
            view.people.update(await self._standings.of(tenant_id, theirs))
            view.offset = end
        view.checked = now
        return True

    def _room(self) -> int:
        return self._most_people - sum(len(view.people) for view in self._views.values())

    def _make_room(self, wanted: int) -> int:
        """Gives up other views, the oldest first, for one of more than `wanted` people; how many it may then hold."""
        while self._views and self._room() < wanted:
            del self._views[min(self._views, key=lambda place: self._views[place].loaded)]
        if self._room() < wanted:
            raise TooManyPeople
        return self._room()
