"""A campaign's own time: set, and come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from postlaw_common.bus import BusUnavailable
from postlaw_common.caller import Actor, current
from postlaw_common.errors import Conflict, FieldError, Invalid, PostlawError
from postlaw_common.keys import KeysUnavailable
from postlaw_common.store import StoreUnavailable
from postlaw_common.telemetry import get_logger
from postlaw_sending.campaigns.campaigns import Campaigns
from postlaw_sending.campaigns.clients import Identity, Subscribers
from postlaw_sending.campaigns.contexts import Contexts
from postlaw_sending.campaigns.domain.campaign import Campaign, Move, Status, WrongMove, moved
from postlaw_sending.campaigns.domain.schedule import LATEST_US, Schedule, first_reached_us, is_zone
from postlaw_sending.campaigns.use_cases.move_campaign import MoveCampaign

_SCOPES = ("audience:read", "decisions:read", "lists:read")
_LOOK_EVERY_S = 1.0
log = get_logger("sending.campaigns.schedule")


class ScheduleCampaign:
    def __init__(
        self,
        campaigns: Campaigns,
        identity: Identity,
        subscribers: Subscribers,
        contexts: Callable[[], Contexts],
        now_us: Callable[[], int],
    ) -> None:
        self._campaigns = campaigns
        self._identity = identity
        self._subscribers = subscribers
        self._contexts = contexts
        self._now_us = now_us

    async def __call__(self, campaign_id: str, at_us: int, local_time: str, time_zone: str) -> Campaign:
        """The campaign with this time, in place of any before. `at_us` 0, `local_time` and `time_zone` "": not given. Raises Invalid, also
        for a time that has passed anywhere; NotFound, Conflict, Unavailable."""
        caller = current()
        by = (caller.actor.kind, caller.actor.id)
        if bool(at_us) == bool(local_time):
            raise _wrong("at", "give an instant, or else a local_time")
        if local_time:
            schedule = Schedule(_first(local_time), local_time, await self._zone(time_zone, campaign_id), by)
        else:
            if time_zone:
                raise _wrong("time_zone", "belongs to a local_time, which is not given")
            schedule = Schedule(at_us, by=by)
        if schedule.at_us <= self._now_us():
            field = "local_time" if local_time else "at"
            raise _wrong(
                field, "has passed: give one that is to come, everywhere" if local_time else "has passed: give one that is to come"
            )

        def change(campaign: Campaign) -> Campaign:
            try:
                after = moved(campaign, Move.SCHEDULE, self._now_us())
            except WrongMove as wrong:
                raise Conflict(str(wrong)) from wrong
            return after if after.schedule == schedule and after is campaign else replace(after, schedule=schedule)

        campaign, _ = await self._campaigns.change(campaign_id, caller.tenant_id, change, caller.actor)
        return campaign

    async def _zone(self, asked: str, campaign_id: str) -> str:
        """Of whoever says none: what is asked for, else the list's, else the customer's."""
        if asked and not is_zone(asked):
            raise _wrong("time_zone", "is not the IANA name of a zone, like Europe/Berlin")
        if asked:
            return asked
        caller = current()
        campaign = await self._campaigns.get(campaign_id, caller.tenant_id)
        async with self._contexts().acting(
            caller.tenant_id, caller.on_behalf_of or caller.actor, ("lists:read",), f"schedule {campaign_id}"
        ):
            of_list = await self._subscribers.list_zone(campaign.list_id)
        own = of_list or await self._identity.time_zone(caller.tenant_id)
        return own if is_zone(own) else "UTC"


class BeginScheduled:
    """What is due begins: whatever process looks first, once (MoveCampaign.begin)."""

    def __init__(self, campaigns: Campaigns, move: MoveCampaign, contexts: Callable[[], Contexts], now_us: Callable[[], int]) -> None:
        self._campaigns = campaigns
        self._move = move
        self._contexts = contexts
        self._now_us = now_us

    async def run(self) -> None:
        """A background."""
        while True:
            try:
                await self.look()
            except (BusUnavailable, StoreUnavailable, KeysUnavailable) as away:
                log.warning("scheduled campaigns could not be looked at", failure=type(away).__name__)
            await asyncio.sleep(_LOOK_EVERY_S)

    async def look(self) -> None:
        """One pass over all that are scheduled."""
        for campaign in await self._campaigns.scheduled():
            if campaign.schedule is not None and campaign.schedule.at_us <= self._now_us():
                try:
                    await self._try(campaign, campaign.schedule)
                except (BusUnavailable, StoreUnavailable, KeysUnavailable):
                    raise
                except Exception:  # what is wrong with one campaign must not keep the others from beginning
                    log.exception("a scheduled campaign cannot begin", campaign_id=campaign.campaign_id)

    async def _try(self, campaign: Campaign, schedule: Schedule) -> None:
        by = Actor(*schedule.by)
        try:
            if self._now_us() - schedule.at_us > LATEST_US:
                raise Conflict("schedule-missed: its time is more than a day ago.")
            async with self._contexts().acting(campaign.tenant_id, by, _SCOPES, f"schedule of {campaign.campaign_id}"):
                await self._move.begin(campaign, by)
        except PostlawError as wrong:
            if wrong.status >= 500:
                log.warning("a scheduled campaign waits", campaign_id=campaign.campaign_id, failure=wrong.type)
                return
            items = "; ".join(f"{item.field}: {item.message}" for item in wrong.fields)
            await self._give_back(campaign, f"{wrong.type}: {items or wrong.detail}"[:500])

    async def _give_back(self, scheduled: Campaign, because: str) -> None:
        """A draft again, which says why."""

        def change(campaign: Campaign) -> Campaign:
            if campaign.status is not Status.SCHEDULED or campaign.schedule != scheduled.schedule:
                return campaign
            return replace(moved(campaign, Move.UNSCHEDULE, self._now_us()), paused_because=because)

        await self._campaigns.change(scheduled.campaign_id, scheduled.tenant_id, change, None)
        log.alert("a scheduled campaign did not begin", campaign_id=scheduled.campaign_id)


def _first(local_time: str) -> int:
    try:
        return first_reached_us(local_time)
    except (ValueError, OverflowError) as wrong:
        raise _wrong("local_time", "is not a time without a zone, like 2026-12-01T09:00") from wrong


def _wrong(field: str, what: str) -> Invalid:
    return Invalid("The campaign cannot be scheduled so.", fields=[FieldError(field, what)])
