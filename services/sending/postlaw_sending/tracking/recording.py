"""Hits on their way to the bus: held for a moment, so that what came in a burst is seen together, then asked about at consent, whose answer
of that moment decides whether they are anybody's.

In memory: what a killed process has not told yet is not told. A figure is then short by seconds; nobody's choice is.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from postlaw_common.bus import Bus, Record
from postlaw_common.caller import Actor
from postlaw_common.consumers import OUTAGES
from postlaw_common.telemetry import get_logger
from postlaw_sending.campaigns.clients import Decisions
from postlaw_sending.campaigns.contexts import Contexts
from postlaw_sending.campaigns.domain.campaign import Campaign
from postlaw_sending.tracking.domain import Kind
from postlaw_sending.tracking.machines import in_a_burst
from postlaw_sending.tracking.wire import hits_record

LOOK_EVERY_S: Final = 1.0
QUIET_US: Final = 2_000_000  # so long after somebody's last hit they are judged …
LONGEST_US: Final = 10_000_000  # … and so long after their first at the latest
KEPT: Final = 20_000  # in memory; what comes beyond is not counted
_OF_ONE: Final = 200  # hits of one person with one campaign, at a time
_AT_ONCE: Final = 1_000  # people a question, the contract's limit; hits an event
_HOUR_US: Final = 3_600_000_000
_SCOPES: Final = ("decisions:read",)

_log = get_logger("sending.tracking")


@dataclass(frozen=True, slots=True)
class Hit:
    """`person`: an address key, b"" for nobody's. `machine`: why no person did it, "" where one did."""

    campaign_id: str
    kind: Kind
    link: int
    person: bytes
    at_us: int
    machine: str


class Decide(Protocol):
    """campaigns.clients.Consent's."""

    def __call__(self, campaign: Campaign, partition: int, address_keys: Sequence[bytes]) -> Awaitable[Decisions]: ...


class Recording:
    """`campaign`: by id; None for one that never was. `partition`: a person's."""

    def __init__(
        self,
        campaign: Callable[[str], Awaitable[Campaign | None]],
        decide: Decide,
        contexts: Callable[[], Contexts],
        partition: Callable[[str, bytes], int],
        bus: Bus,
        now_us: Callable[[], int],
    ) -> None:
        self._campaign = campaign
        self._decide = decide
        self._contexts = contexts
        self._partition = partition
        self._bus = bus
        self._now_us = now_us
        self._waiting: dict[tuple[str, bytes], list[Hit]] = {}
        self._held = 0
        self._dropped = 0
        self._judged: defaultdict[str, list[Hit]] = defaultdict(list)
        self._told: list[Record] = []

    def take(self, hit: Hit) -> None:
        place = (hit.campaign_id, hit.person)
        held = self._waiting.get(place, [])
        if self._held >= KEPT or (hit.person and len(held) >= _OF_ONE):
            self._dropped += 1
            return
        held.append(hit)
        self._waiting[place] = held
        self._held += 1

    async def run(self) -> None:
        """A background."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await self.flush(self._now_us())
            except OUTAGES as away:
                _log.warning("clicks and opens wait to be recorded", failure=type(away).__name__)

    async def flush(self, now_us: int) -> None:
        """Tells of whoever has been quiet for a while. What an outage stops, waits on."""
        if self._dropped:
            _log.warning("clicks and opens came faster than they are recorded", dropped=self._dropped)
            self._dropped = 0
        for place, hits in list(self._waiting.items()):
            if now_us - hits[-1].at_us >= QUIET_US or now_us - hits[0].at_us >= LONGEST_US:
                del self._waiting[place]
                self._judged[place[0]] += _judged(hits)
        for campaign_id, hits in list(self._judged.items()):
            try:
                campaign = await self._campaign(campaign_id)
                self._told += await self._records(campaign, hits) if campaign is not None else []
            except OUTAGES as away:
                _log.warning("a campaign's clicks and opens wait to be recorded", campaign_id=campaign_id, failure=type(away).__name__)
                continue
            except Exception:  # what is wrong with one campaign must not keep the others' from being recorded
                _log.exception("clicks and opens cannot be recorded", campaign_id=campaign_id, dropped=len(hits))
            del self._judged[campaign_id]
        if self._told:
            await self._bus.publish(self._told)
            self._told = []
        self._held = sum(map(len, (*self._waiting.values(), *self._judged.values())))

    async def _records(self, campaign: Campaign, hits: Sequence[Hit]) -> list[Record]:
        allowed = await self._allowed(campaign, {hit.person for hit in hits if hit.person})
        said = [hit if hit.kind in allowed.get(hit.person, ()) else _nobodys(hit) for hit in hits]
        return [hits_record(campaign, said[start : start + _AT_ONCE], self._bus.partitions) for start in range(0, len(said), _AT_ONCE)]

    async def _allowed(self, campaign: Campaign, people: set[bytes]) -> dict[bytes, set[Kind]]:
        """What each of them allows now. Who may not be mailed any more allows nothing."""
        by_partition: defaultdict[int, list[bytes]] = defaultdict(list)
        for person in sorted(people):
            by_partition[self._partition(campaign.tenant_id, person)].append(person)
        allowed: dict[bytes, set[Kind]] = {}
        for partition, own in by_partition.items():
            for start in range(0, len(own), _AT_ONCE):
                asked = own[start : start + _AT_ONCE]
                async with self._contexts().acting(
                    campaign.tenant_id, Actor(*campaign.launched_by), _SCOPES, f"tracking {campaign.campaign_id}"
                ):
                    answer = await self._decide(campaign, partition, asked)
                for person, decision in zip(asked, answer.each, strict=True):
                    verdict = answer.verdicts[decision.verdict]
                    kinds: dict[Kind, bool] = {"open": verdict.open_tracking, "click": verdict.click_tracking}
                    allowed[person] = {kind for kind, yes in kinds.items() if yes and verdict.allow}
        return allowed


def _judged(hits: Sequence[Hit]) -> list[Hit]:
    """One person's of one campaign, or nobody's, with what only their order shows."""
    if not hits[0].person:
        return [_nobodys(hit) for hit in hits]
    said = list(hits)
    clicks = sorted((place for place, hit in enumerate(hits) if hit.kind == "click"), key=lambda place: hits[place].at_us)
    for place in in_a_burst([hits[place] for place in clicks]):
        if not hits[clicks[place]].machine:
            said[clicks[place]] = replace(hits[clicks[place]], machine="many-links")
    return said


def _nobodys(hit: Hit) -> Hit:
    """The second at which somebody clicked would tell who it was, to whoever knows when they read their mail."""
    return replace(hit, person=b"", at_us=hit.at_us // _HOUR_US * _HOUR_US)
