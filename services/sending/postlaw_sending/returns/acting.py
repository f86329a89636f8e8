"""What came back, acted on: consent first, then the event, then the note that it is done. After a crash in between all of it is done
again, to the same effect: consent knows the key, the event its id."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from postlaw_common.bus import Bus
from postlaw_common.consumers import OUTAGES
from postlaw_common.telemetry import get_logger, meter
from postlaw_sending.campaigns.domain.campaign import Campaign
from postlaw_sending.returns.classify import classify
from postlaw_sending.returns.people import NOBODY, Person
from postlaw_sending.returns.received import Mail, Received
from postlaw_sending.returns.verdict import verdict_of
from postlaw_sending.returns.wire import returned_record

TOGETHER: Final = 16  # each waits up to eight seconds for the stop
AGAIN_S: Final = 5.0  # what an outage, or a process that is gone, has left behind
FORGET_EVERY_S: Final = 3600.0

_log = get_logger("sending.returns")
_acted = meter("postlaw.sending").create_counter(
    "postlaw.sending.returns.acted", unit="{message}", description="Returned mail that was acted on, by kind and class"
)


class People(Protocol):
    """Asked in the name of the campaign's customer."""

    async def find(self, tenant_id: str, beginning: bytes) -> Person:
        """By the beginning of their address key; NOBODY where they were deleted. Raises PostlawError."""
        ...

    async def bounced(self, tenant_id: str, person: Person, key: str) -> None:
        """The address is no good: no mail goes there any more. `key`: of the mail that says so. Raises PostlawError."""
        ...


class Acting:
    """`campaign`: by id, whoever's it is; None for one that never was."""

    def __init__(self, received: Received, campaign: Callable[[str], Awaitable[Campaign | None]], people: People, bus: Bus) -> None:
        self._received = received
        self._campaign = campaign
        self._people = people
        self._bus = bus
        self._arrived = asyncio.Event()

    def nudge(self) -> None:
        """Something has arrived."""
        self._arrived.set()

    async def run(self) -> None:
        """A background: acts on what waits, at once when something arrives."""
        while True:
            self._arrived.clear()
            try:
                await self.act()
            except OUTAGES as away:
                _log.warning("returned mail waits", failure=type(away).__name__)
            try:
                await asyncio.wait_for(self._arrived.wait(), AGAIN_S)
            except TimeoutError:
                continue

    async def keep_forgetting(self) -> None:
        """A background: removes the notes of what was done long ago."""
        while True:
            try:
                await self._received.forget()
            except OUTAGES as away:
                _log.warning("what was returned long ago is kept a while longer", failure=type(away).__name__)
            await asyncio.sleep(FORGET_EVERY_S)

    async def act(self) -> None:
        """One pass over all that waits. A mail that an outage stops, waits on."""
        some: list[Mail] = []
        async for mail in self._received.waiting():
            some.append(mail)
            if len(some) == TOGETHER:
                await self._act_on(some)
                some = []
        await self._act_on(some)

    async def _act_on(self, some: list[Mail]) -> None:
        for failed in await asyncio.gather(*map(self._one, some), return_exceptions=True):
            if isinstance(failed, OUTAGES):
                raise failed
            if failed is not None:  # it waits on, and holds nobody up
                _log.alert("a returned mail cannot be acted on", failure=type(failed).__name__)

    async def _one(self, mail: Mail) -> None:
        campaign = await self._campaign(mail.about.campaign_id)
        if campaign is not None:
            verdict = verdict_of(await asyncio.to_thread(classify, mail.content))
            person = await self._people.find(campaign.tenant_id, mail.about.person)
            stopped = verdict.cls == "hard" and person != NOBODY
            if stopped:
                await self._people.bounced(campaign.tenant_id, person, f"returned/{mail.id}")
            record = returned_record(mail, campaign.tenant_id, person, verdict, stopped=stopped, partitions=self._bus.partitions)
            await self._bus.publish([record])
            _acted.add(1, {"kind": verdict.kind, "class": verdict.cls})
        await self._received.done(mail)
