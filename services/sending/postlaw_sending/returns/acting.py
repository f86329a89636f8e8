"""What came back, acted on: consent first, then the event, then the note that it is done. After a crash in between all of it is done
again, to the same effect: consent knows the key, the event its id."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from postlaw_common.bus import Bus
from postlaw_common.consumers import OUTAGES
from postlaw_common.telemetry import get_logger, meter
from postlaw_sending.messages.return_path import SentMessage
from postlaw_sending.returns.judging import CameBack
from postlaw_sending.returns.notices import Notice
from postlaw_sending.returns.people import About
from postlaw_sending.returns.providers import Providers
from postlaw_sending.returns.received import Mail, Received
from postlaw_sending.returns.soft_bounces import SoftBounces
from postlaw_sending.returns.verdict import Act, Verdict, verdict_of, verdict_of_notice
from postlaw_sending.returns.wire import returned_record
from postlaw_sending.worker.mailbox_providers import provider_of

TOGETHER: Final = 16  # each waits up to eight seconds for the stop

_log = get_logger("sending.returns")
_acted = meter("postlaw.sending").create_counter(
    "postlaw.sending.returns.acted", unit="{message}", description="Returned mail that was acted on, by kind and class"
)


class People(Protocol):
    """returns.people.People, whose methods raise Unavailable and every other PostlawError."""

    async def of_message(self, sent: SentMessage, address: str = "") -> About | None: ...

    async def provider_of(self, about: About) -> str: ...

    async def of_token(self, token: str) -> About | None: ...

    async def withdraw(self, token: str) -> None: ...

    async def stop(self, about: About, act: Act, key: str) -> None: ...


class Acting:
    """`count` takes what came back of whom, for the rates."""

    def __init__(
        self,
        received: Received,
        soft_bounces: SoftBounces,
        providers: Providers,
        people: People,
        bus: Bus,
        count: Callable[[list[CameBack]], Awaitable[None]],
    ) -> None:
        self._count = count
        self._came_back: list[CameBack] = []
        self._received = received
        self._soft_bounces = soft_bounces
        self._providers = providers
        self._people = people
        self._bus = bus

    async def forget(self) -> None:
        """Removes the notes of what was done long ago. Raises StoreUnavailable."""
        await self._received.forget()
        await self._soft_bounces.forget(self._received.now_us())

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
        ended = await asyncio.gather(*map(self._one, some), return_exceptions=True)
        came_back, self._came_back = self._came_back, []
        await self._count(came_back)
        for failed in ended:
            if isinstance(failed, OUTAGES):
                raise failed
            if failed is not None:  # it waits on, and holds nobody up
                _log.alert("a returned mail cannot be acted on", failure=type(failed).__name__)

    async def _one(self, mail: Mail) -> None:
        if isinstance(mail.about, Notice):
            await self._on_notice(mail, mail.about)
            return
        verdict = await asyncio.to_thread(verdict_of, mail.content)
        if verdict.cls == "hard" and verdict.provider and not mail.released and await self._held(mail, verdict.provider):
            return
        if isinstance(mail.about, SentMessage):
            await self._tell(mail, await self._people.of_message(mail.about), verdict)
        elif verdict.act == "complained":
            await self._tell(mail, await self._people.of_token(mail.about), verdict)
        elif await self._people.of_token(mail.about) is not None:
            await self._people.withdraw(mail.about)  # of which consent's own event tells
        await self._done(mail, verdict)

    async def _on_notice(self, mail: Mail, notice: Notice) -> None:
        verdict = verdict_of_notice(notice)
        about = await self._people.of_message(notice.sent, notice.address)
        if about is not None and about.address_key and verdict.cls == "hard" and not mail.released:
            provider = verdict.provider or await self._people.provider_of(about)
            if provider and await self._held(mail, provider):
                return
        await self._tell(mail, about, verdict)
        await self._done(mail, verdict)

    async def _done(self, mail: Mail, verdict: Verdict) -> None:
        _acted.add(1, {"kind": verdict.kind, "class": verdict.cls})
        await self._received.done(mail)

    async def _held(self, mail: Mail, provider: str) -> bool:
        """Whether it waits for an operator's word, who can tell a provider's mistake from a list of dead addresses."""
        held, first = await self._providers.counted(provider, mail.received_at_us)
        if first:
            _log.alert("hard bounces of a provider are held back", provider=provider)
        if held:
            await self._received.hold(mail, provider)
            if not await self._providers.holds(provider):  # released in between, before this one was there to be let go
                await self._received.release(provider)
        return held

    async def _tell(self, mail: Mail, about: About | None, verdict: Verdict) -> None:
        """Consent and the bus."""
        if about is None:
            return
        act = await self._act_for(mail, about, verdict) if about.address_key else None
        if act is not None:
            await self._people.stop(about, act, f"returned/{mail.id}")
        self._came_back.append(CameBack(about.tenant_id, about.campaign_id, verdict.cls, await self._provider(about, verdict)))
        await self._bus.publish([returned_record(mail, about, verdict, stopped=act is not None, partitions=self._bus.partitions)])

    async def _provider(self, about: About, verdict: Verdict) -> str:
        """Whose customer they are, where it is a big one and counts."""
        if verdict.cls not in ("complaint", "hard"):
            return ""
        return provider_of(verdict.provider or (await self._people.provider_of(about) if about.address_key else ""))

    async def _act_for(self, mail: Mail, about: About, verdict: Verdict) -> Act | None:
        if verdict.cls != "soft":
            return verdict.act
        too_many = await self._soft_bounces.add(about.tenant_id, about.address_key, about.campaign_id, mail.received_at_us)
        return "bounced" if too_many else None
