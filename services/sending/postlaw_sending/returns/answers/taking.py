"""An answer at the door: it is taken where somebody reads it, and whoever sent it hears why where it is not.

An answer is known by the address to which it comes, which one recipient has; From counts for nothing. What reaches nobody is not kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from postlaw_common.errors import Conflict
from postlaw_sending.campaigns.domain.campaign import Campaign
from postlaw_sending.campaigns.use_cases.move_campaign import SenderCheck
from postlaw_sending.messages.return_path import SentMessage
from postlaw_sending.returns.answers.content import circles, is_of_a_machine
from postlaw_sending.returns.answers.limits import Limits
from postlaw_sending.returns.proofs import says_unsubscribe
from postlaw_sending.returns.reading import LARGEST
from postlaw_sending.returns.received import Received

TAKEN: Final = "250 2.0.0 Taken"


class TakeAnswer:
    """`stops`: where returned mail stands, of which a reply "unsubscribe" is some; `answers`: what is to be passed on. `reach`: see
    CreateCampaign. `nudge`: something stands in either. `may_send_from`: see MoveCampaign."""

    def __init__(
        self,
        stops: Received,
        answers: Received,
        limits: Limits,
        find: Callable[[str], Awaitable[Campaign | None]],
        reach: Callable[[str, str], Awaitable[bool]],
        nudge: Callable[[], None],
        may_send_from: SenderCheck | None,
    ) -> None:
        self._stops = stops
        self._answers = answers
        self._limits = limits
        self._find = find
        self._reach = reach
        self._nudge = nudge
        self._may_send_from = may_send_from

    async def __call__(self, to: SentMessage, mail_from: str, content: bytes) -> str:
        """What is said to DATA (RFC 5321 §4.2); 250 once it is durable, or is to go nowhere. Raises StoreUnavailable, KeysUnavailable."""
        if len(content) > LARGEST:
            return "552 5.3.4 An answer may have a megabyte at most"
        if await asyncio.to_thread(circles, content):
            return "554 5.4.6 This mail has been here before"
        if not mail_from or await asyncio.to_thread(is_of_a_machine, content):
            return TAKEN  # RFC 3834 §4: it should have gone to the return path; here it tells nobody anything
        if await asyncio.to_thread(says_unsubscribe, content):
            await self._stops.take(to, content)
            self._nudge()
            return TAKEN
        campaign = await self._find(to.campaign_id)
        if campaign is None or not campaign.forward_answers_to or not await self._reach(campaign.tenant_id, campaign.forward_answers_to):
            return "550 5.1.1 Nobody reads answers to this message any more"
        if not await self._has_sender(campaign):
            return "451 4.3.0 Answers cannot be passed on now, try again later"
        if not await self._limits.admit(campaign.tenant_id, to):
            return "451 4.7.1 Too many answers for today, try again later"
        await self._answers.take(to, content)
        self._nudge()
        return TAKEN

    async def _has_sender(self, campaign: Campaign) -> bool:
        """An answer goes on in the name of the campaign's sender."""
        try:
            if self._may_send_from is not None:
                await self._may_send_from(campaign.tenant_id, campaign.sender.address)
        except Conflict:
            return False
        return True
