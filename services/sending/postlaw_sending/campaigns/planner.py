"""The planner: makes campaigns into batches, several partitions at a time, round-robin over the campaigns of each.

A part that cannot be reached makes it wait, by campaign and partition, and go on from where the plans stand; nothing is lost.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from postlaw_common.caller import Actor
from postlaw_common.keys import KeysUnavailable
from postlaw_common.store import StoreUnavailable, VersionConflict
from postlaw_common.telemetry import get_logger, meter
from postlaw_common.telemetry.gauges import Gauge
from postlaw_sending.campaigns.backlog import Backlog
from postlaw_sending.campaigns.campaigns import Campaigns
from postlaw_sending.campaigns.contexts import Contexts
from postlaw_sending.campaigns.domain.campaign import Campaign, Status
from postlaw_sending.campaigns.ending import Ending
from postlaw_sending.campaigns.kept_back import KeptBack
from postlaw_sending.campaigns.keys import CampaignKeyDestroyed, CampaignKeys
from postlaw_sending.campaigns.leases import Leases
from postlaw_sending.campaigns.led import Led
from postlaw_sending.campaigns.planning import GROUP, Planning
from postlaw_sending.campaigns.retries import Retries
from postlaw_sending.campaigns.use_cases.decide_ab_test import DecideAbTests
from postlaw_sending.campaigns.watch import CampaignWatch

log = get_logger("sending.campaigns.planner")
_failures = meter("postlaw.sending").create_counter(
    "postlaw.sending.planner.failures", unit="{turn}", description="Turns of planning that failed and are tried again"
)
_sending = Gauge("postlaw.sending.campaigns.sending", "{campaign}", "Campaigns that are being sent, as their planner sees them")
_pending = Gauge("postlaw.sending.planner.pending", "{partition}", "Partitions of campaigns whose audience is not planned to its end")

AT_ONCE = 2  # partitions under way at one time: while one waits for an answer, another works
LOOK_EVERY_S = 0.5  # for campaigns to plan; launching one in this process is heard at once
NO_ROOM_S = 0.1
WAITING_EVERY_S = 1.0
LONGEST_BACK_OFF_S = 5.0
SCOPES = ("audience:read", "decisions:read", "lists:read")


Seeds = Callable[[Campaign], Awaitable[bool]]


class Planner:
    """A background. `partitions`: the installation's count. `seeds`: copies a campaign to whom the customer watches it by, once however
    often it is called; whether that worked."""

    def __init__(
        self,
        *,
        partitions: Callable[[], int],
        campaigns: Campaigns,
        leases: Leases,
        keys: CampaignKeys,
        watch: CampaignWatch,
        planning: Planning,
        backlog: Backlog,
        retries: Retries,
        kept: KeptBack,
        ending: Ending,
        deciding: DecideAbTests,
        seeds: Sequence[Seeds],
        contexts: Callable[[], Contexts],
        backlog_limit: int,
    ) -> None:
        self._partitions = partitions
        self._campaigns = campaigns
        self._leases = leases
        self._keys = keys
        self._watch = watch
        self._planning = planning
        self._backlog = backlog
        self._retries = retries
        self._kept = kept
        self._ending = ending
        self._deciding = deciding
        self._seeds = seeds
        self._contexts = contexts
        # A group is planned only when there is room for a whole one: single batches would cost a durable write each.
        self._room_wanted = max(1, min(GROUP, backlog_limit // 2))
        self._led: dict[str, Led] = {}
        self._last_served: dict[int, str] = {}
        self._hands = asyncio.Semaphore(AT_ONCE)
        self._wake = asyncio.Event()
        self._changes = 0
        watch.when_changed(self.nudge)

    def nudge(self) -> None:
        """Something has changed: look now."""
        self._changes += 1
        self._wake.set()
        self._wake = asyncio.Event()

    async def run(self) -> None:
        _failures.add(0)
        try:
            with _sending.shows(lambda: len(self._sent_now())), _pending.shows(self._unplanned):
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._lead(), name="planner leads")
                    for partition in range(self._partitions()):
                        tasks.create_task(self._tend(partition), name=f"planner {partition}")
        finally:
            for led in self._led.values():
                await led.close_readers()
            await self._backlog.close()
            with suppress(StoreUnavailable):
                await self._leases.release()

    def _sent_now(self) -> list[Led]:
        return [led for led in list(self._led.values()) if led.campaign.status is Status.SENDING]

    def _unplanned(self) -> int:
        return sum(self._partitions() - sum(plan.complete for plan in list(led.plans.values())) for led in self._sent_now())

    async def _pause(self, seconds: float, seen: int) -> None:
        """Until something has changed since `seen`, and so long at most: a change that came while we worked is not slept over."""
        if self._changes != seen:
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), seconds)

    async def _lead(self) -> None:
        """Keeps to hand the campaigns that are ours to plan, as they are now, and ends those that are done."""
        while True:
            seen = self._changes
            try:
                held = await self._leases.hold()
                for campaign_id in self._led.keys() - held:
                    await self._led.pop(campaign_id).close_readers()
                for campaign_id in held:
                    await self._try_to_look_after(campaign_id)
            except StoreUnavailable as error:
                log.warning("planner cannot look for campaigns", failure=error)
            await self._pause(LOOK_EVERY_S, seen)

    async def _try_to_look_after(self, campaign_id: str) -> None:
        """What is wrong with one campaign must not keep the others from being planned."""
        try:
            await self._look_after(campaign_id)
        except (StoreUnavailable, KeysUnavailable) as error:
            log.warning("campaign waits to be looked after", campaign_id=campaign_id, failure=error)
        except Exception:
            log.exception("campaign cannot be looked after", campaign_id=campaign_id)

    async def _look_after(self, campaign_id: str) -> None:
        led = self._led.get(campaign_id)
        status = await self._watch.see(campaign_id)
        if led is None or led.campaign.status != status or led.campaign.version < self._watch.version(campaign_id):
            campaign = await self._campaigns.find(campaign_id)
            if campaign is None or campaign.not_begun:
                return  # a launch that is under way, or was cut off
            if led is None:
                try:
                    key = await self._keys.get(campaign.tenant_id, campaign_id)
                except CampaignKeyDestroyed:
                    log.alert("campaign left open beyond its key's life", campaign_id=campaign_id)
                    await self._leases.close(campaign_id)
                    return
                led = self._led[campaign_id] = Led(campaign, key)
            elif led.campaign.status is not campaign.status:
                led.campaign = campaign
                led.not_before.clear()
                led.next_look.clear()
                await led.close_readers()
            elif led.campaign.version < campaign.version:
                led.campaign = campaign
                led.next_look.clear()
        await self._deciding.look(led.campaign)
        if not led.seeded and led.campaign.status is Status.SENDING:
            led.seeded = all([await seeds(led.campaign) for seeds in self._seeds])
        led.anybody_waits = await self._retries.any(campaign_id)
        keeps = led.campaign.keeps_back or led.campaign.mail_unknown_again
        led.anybody_kept = keeps and await self._kept.any(campaign_id)
        if await self._ending.reached(led, self._partitions()):
            self._led.pop(campaign_id, None)
            await led.close_readers()
            await self._leases.close(campaign_id)

    async def _tend(self, partition: int) -> None:
        """One partition's turns, one after another."""
        while True:
            seen = self._changes
            led = self._next(partition)
            if led is None:
                await self._pause(NO_ROOM_S if self._led else LOOK_EVERY_S, seen)
                continue
            async with self._hands:
                went_on = await self._turn(led, partition)
            if not went_on:
                await self._pause(NO_ROOM_S, seen)

    def _next(self, partition: int) -> Led | None:
        """The campaign after the one served last."""
        now = time.monotonic()
        ids = sorted(id for id, led in self._led.items() if led.has_work(partition, now))
        if not ids:
            return None
        last = self._last_served.get(partition, "")
        chosen = next((id for id in ids if id > last), ids[0])
        return self._led[chosen]

    async def _turn(self, led: Led, partition: int) -> bool:
        """False: nothing could be planned now."""
        campaign = led.campaign
        led.busy.add(partition)
        try:
            room, jobs_end = await self._backlog.room(partition)
            if room < self._room_wanted:
                return False
            # Only a turn that could publish counts: else whose turn it is when room appears would be chance.
            self._last_served[partition] = campaign.campaign_id
            actor = Actor(*campaign.launched_by)
            async with self._contexts().acting(campaign.tenant_id, actor, SCOPES, f"campaign {campaign.campaign_id}"):
                planned = await self._planning.turn(led, partition, room, jobs_end)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            await self._fail(led, partition, error)
            return False
        finally:
            led.busy.discard(partition)
        if led.campaign.status is not Status.SENDING or self._led.get(campaign.campaign_id) is not led:
            await led.close_readers()
        led.failures.pop(partition, None)
        if not planned:
            led.next_look[partition] = time.monotonic() + WAITING_EVERY_S
        return planned

    async def _fail(self, led: Led, partition: int, error: Exception) -> None:
        """Forget, wait, and begin again from what the store says."""
        await led.forget(partition)
        failures = led.failures[partition] = led.failures.get(partition, 0) + 1
        led.not_before[partition] = time.monotonic() + min(LONGEST_BACK_OFF_S, 0.1 * 2 ** min(failures, 10))
        if isinstance(error, VersionConflict):
            log.info("another planner was here", campaign_id=led.campaign.campaign_id, partition=partition)
        else:
            _failures.add(1)
            log.warning("planning waits", campaign_id=led.campaign.campaign_id, partition=partition, failure=error)
