"""Launch, begin, pause, resume, cancel: one table of moves, and what must be there before a campaign is sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from postlaw_common.caller import Actor, current
from postlaw_common.errors import Conflict
from postlaw_sending.campaigns.campaigns import Campaigns
from postlaw_sending.campaigns.clients import Identity
from postlaw_sending.campaigns.domain.campaign import Campaign, Move, Status, WrongMove, moved
from postlaw_sending.campaigns.keys import CampaignKeys
from postlaw_sending.campaigns.leases import Leases
from postlaw_sending.checklist.items import Item, refuse_failed

SenderCheck = Callable[[str, str], Awaitable[None]]  # (tenant, address)


class MoveCampaign:
    """`checklist` is what must pass before a launch. `nudge` tells this process's planner that there is something to do.
    `may_send_from` raises Conflict where a customer may not mail from an address; None: from any.
    `require_free` raises Conflict where a customer's campaign, or all that they send, is held back."""

    def __init__(
        self,
        campaigns: Campaigns,
        keys: CampaignKeys,
        leases: Leases,
        identity: Identity,
        checklist: Callable[[Campaign], Awaitable[list[Item]]],
        nudge: Callable[[], None],
        now_us: Callable[[], int],
        may_send_from: SenderCheck | None,
        require_free: Callable[[str, str], Awaitable[None]],
    ) -> None:
        self._require_free = require_free
        self._campaigns = campaigns
        self._keys = keys
        self._leases = leases
        self._identity = identity
        self._checklist = checklist
        self._nudge = nudge
        self._now_us = now_us
        self._may_send_from = may_send_from

    async def __call__(self, campaign_id: str, move: Move) -> Campaign:
        """The campaign after the move; one that is there already is answered as it is. Raises NotFound, Conflict, Unavailable;
        Unprocessable where an item of its checklist fails."""
        caller = current()
        contact = ""
        if move in (Move.LAUNCH, Move.RESUME):
            before = await self._campaigns.get(campaign_id, caller.tenant_id)
            _moved(before, move, self._now_us())  # before anything is prepared for it
            await self._require_sender(before)
            contact = await self._prepare(before) if move is Move.LAUNCH else ""
        now_us = self._now_us()
        launched_by = (caller.actor.kind, caller.actor.id)

        def change(campaign: Campaign) -> Campaign:
            after = _moved(campaign, move, now_us)
            return replace(after, launched_by=launched_by, contact=contact) if after is not campaign and move is Move.LAUNCH else after

        campaign, _ = await self._campaigns.change(campaign_id, caller.tenant_id, change, caller.actor)
        self._nudge()
        return campaign

    async def begin(self, scheduled: Campaign, by: Actor) -> bool:
        """A scheduled campaign at its time, in the name of whoever scheduled it; whether this call began it, which one alone does
        however many processes try. Raises as a launch does."""
        await self._require_sender(scheduled)
        contact = await self._prepare(scheduled)

        def change(campaign: Campaign) -> Campaign:
            if campaign.status is not Status.SCHEDULED or campaign.schedule != scheduled.schedule:
                return campaign
            return replace(moved(campaign, Move.BEGIN, self._now_us()), launched_by=(by.kind, by.id), contact=contact)

        _, began = await self._campaigns.change(scheduled.campaign_id, scheduled.tenant_id, change, by)
        self._nudge()
        return began

    async def _require_sender(self, campaign: Campaign) -> None:
        if not campaign.not_begun and campaign.status is not Status.PAUSED:
            return
        await self._require_free(campaign.tenant_id, campaign.campaign_id)
        if self._may_send_from is not None:
            await self._may_send_from(campaign.tenant_id, campaign.sender.address)

    async def _prepare(self, campaign: Campaign) -> str:
        """The key, and the lease by which a planner finds the campaign: before it says "sending", so that a crash forgets neither.
        Returns the customer's contact: read once, so that what the law is told and what every footer says is the same."""
        contact = ""
        if campaign.not_begun:
            contact = await self._identity.contact(campaign.tenant_id)
            refuse_failed(await self._checklist(replace(campaign, contact=contact, launched_at_us=self._now_us())))
        await self._keys.make(campaign.tenant_id, campaign.campaign_id)
        await self._leases.offer(campaign.campaign_id)
        return contact


def _moved(campaign: Campaign, move: Move, now_us: int) -> Campaign:
    try:
        return moved(campaign, move, now_us)
    except WrongMove as wrong:
        raise Conflict(str(wrong)) from wrong
