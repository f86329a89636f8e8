"""Answers that were taken, passed on as single messages: durable there before they are gone here, and once however often it begins."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from postlaw_common.consumers import OUTAGES
from postlaw_common.errors import Conflict
from postlaw_common.ids import new_id
from postlaw_common.telemetry import get_logger, meter
from postlaw_sending.campaigns.contexts import Contexts
from postlaw_sending.campaigns.domain.campaign import Campaign
from postlaw_sending.campaigns.domain.ruling import TRANSACTIONAL, MessageFacts
from postlaw_sending.campaigns.use_cases.move_campaign import SenderCheck
from postlaw_sending.messages.answer import Answer
from postlaw_sending.messages.return_path import SentMessage
from postlaw_sending.returns.answers.content import words_of
from postlaw_sending.returns.answers.limits import Limits
from postlaw_sending.returns.received import Mail, Received
from postlaw_sending.singles.domain import Addressee
from postlaw_sending.singles.send_single import Posting
from postlaw_sending.team.addresses import TeamAddresses
from postlaw_sending.team.send_copies import NO_LINK

_FACTS: Final = MessageFacts(TRANSACTIONAL)  # to the customer's own people, who asked for it
_SCOPES: Final = ("decisions:read",)

_log = get_logger("sending.returns")
_passed = meter("postlaw.sending").create_counter(
    "postlaw.sending.answers.passed_on", unit="{message}", description="Answers to campaigns, by what became of them (passed, refused)"
)


class PassOn:
    """`answers`, `find`, `limits`, `may_send_from`: see TakeAnswer. `contexts` are made once the loop runs. `heard`: see LastSignals."""

    def __init__(
        self,
        answers: Received,
        limits: Limits,
        find: Callable[[str], Awaitable[Campaign | None]],
        team: TeamAddresses,
        post: Posting,
        contexts: Callable[[], Contexts],
        may_send_from: SenderCheck | None,
        heard: Callable[[Mapping[tuple[str, bytes], int]], Awaitable[None]],
    ) -> None:
        self._heard = heard
        self._answers = answers
        self._limits = limits
        self._find = find
        self._team = team
        self._post = post
        self._contexts = contexts
        self._may_send_from = may_send_from

    async def once(self) -> None:
        """A pass over all that waits. What an outage stops, waits on; what fails otherwise holds nothing else up."""
        async for mail in self._answers.waiting():
            try:
                passed = await self._one(mail)
            except OUTAGES:
                raise
            except Exception as failed:
                _log.alert("an answer cannot be passed on", failure=type(failed).__name__)
                continue
            _passed.add(1, {"outcome": "passed" if passed else "refused"})
            await self._answers.done(mail)

    async def _one(self, mail: Mail) -> bool:
        """False where there is nobody any more who would read it, or may be mailed."""
        about = mail.about
        if not isinstance(about, SentMessage):
            return False
        campaign = await self._find(about.campaign_id)
        team = await self._team.confirmed(campaign.tenant_id, campaign.forward_answers_to) if campaign is not None else None
        if campaign is None or team is None:
            return False
        words = await asyncio.to_thread(words_of, mail.content)
        answer = Answer(
            message_id=new_id("sgl"),
            contact=campaign.contact,
            sender_name=campaign.sender.name,
            sender_address=campaign.sender.address,
            name=words.name,
            reply_to=words.reply_to,
            subject=words.subject,
            content=words.content,
        )
        to = Addressee(team.address_key, "", team.address, {})
        async with self._contexts().acting(campaign.tenant_id, scopes=_SCOPES, purpose="answers"):
            try:
                if self._may_send_from is not None:
                    await self._may_send_from(campaign.tenant_id, campaign.sender.address)
                await self._post(campaign.tenant_id, f"answer/{mail.id}", to, answer, _FACTS, link=NO_LINK)
            except Conflict as refused:
                _log.warning("an answer may not be passed on", campaign_id=campaign.campaign_id, refused=refused.type)
                return False
        await self._heard({(campaign.tenant_id, about.person): mail.received_at_us})
        return True
