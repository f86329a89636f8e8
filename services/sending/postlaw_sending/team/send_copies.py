"""A campaign's message to the customer's own people, outside its totals: as a test, and as a seed's copy of what is sent.

It belongs to no campaign's batches, so nothing counts it; and it has no link that stops anything: whoever tries it out stops nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from postlaw_common.caller import Actor, current
from postlaw_common.errors import Conflict, FieldError, Invalid, PostlawError
from postlaw_common.ids import new_id
from postlaw_common.telemetry import get_logger
from postlaw_sending.campaigns.campaigns import Campaigns
from postlaw_sending.campaigns.clients import Identity
from postlaw_sending.campaigns.contexts import Contexts
from postlaw_sending.campaigns.domain.campaign import Campaign
from postlaw_sending.campaigns.domain.ruling import TRANSACTIONAL, MessageFacts
from postlaw_sending.campaigns.use_cases.move_campaign import SenderCheck
from postlaw_sending.singles.domain import Addressee, Words
from postlaw_sending.singles.send_single import Posting
from postlaw_sending.team.addresses import TeamAddresses
from postlaw_sending.team.domain import TeamAddress

NO_LINK: Final = b"test"  # where an unsubscribe token stands; none is so short
_FACTS: Final = MessageFacts(TRANSACTIONAL)  # to one's own people, who asked for it
_SCOPES: Final = ("decisions:read",)
log = get_logger("sending.team")


class SendCopies:
    """`may_send_from`: see MoveCampaign."""

    def __init__(
        self,
        addresses: TeamAddresses,
        campaigns: Campaigns,
        post: Posting,
        identity: Identity,
        contexts: Callable[[], Contexts],
        may_send_from: SenderCheck | None,
    ) -> None:
        self._addresses = addresses
        self._campaigns = campaigns
        self._post = post
        self._identity = identity
        self._contexts = contexts
        self._may_send_from = may_send_from

    async def test(
        self, campaign_id: str, team_address_ids: Sequence[str], variant: int, fields: Mapping[str, str], key: str
    ) -> list[tuple[str, str]]:
        """(team address, message), each once a key. Raises Invalid (also for an address that nobody has confirmed), NotFound, Conflict,
        Unavailable."""
        caller = current()
        campaign = await self._campaigns.get(campaign_id, caller.tenant_id)
        if not 0 <= variant <= (len(campaign.in_variants) if campaign.ab_test else 0):
            raise Invalid("There is no such variant.", fields=[FieldError("variant", "give the number of one that the campaign has")])
        if self._may_send_from is not None:
            await self._may_send_from(caller.tenant_id, campaign.sender.address)
        confirmed = {team.team_address_id: team for team in await self._addresses.of(caller.tenant_id) if team.confirmed_at_us}
        if unknown := [id for id in team_address_ids if id not in confirmed]:
            wrong = [FieldError("team_address_ids", f"{id} is no team address that somebody has confirmed") for id in unknown]
            raise Invalid("Tests go to confirmed team addresses alone.", fields=wrong)
        contact = campaign.contact or await self._identity.contact(caller.tenant_id)
        request = key or new_id("tst")
        actor = caller.on_behalf_of or caller.actor
        async with self._contexts().acting(caller.tenant_id, actor, _SCOPES, f"test of {campaign_id}"):
            sent: list[tuple[str, str]] = []
            for id in dict.fromkeys(team_address_ids):
                words = Words(new_id("sgl"), contact, campaign_id=campaign_id, variant=variant, test=True)
                sent.append((id, await self._posted(f"test/{request}/{id}", confirmed[id], words, fields)))
            return sent

    async def to_seeds(self, campaign: Campaign) -> None:
        """Each variant to each seed, once however often it is asked for; who may not be mailed is left out. Raises Unavailable."""
        seeds = [team for team in await self._addresses.of(campaign.tenant_id) if team.seed and team.confirmed_at_us]
        if not seeds:
            return
        async with self._contexts().acting(campaign.tenant_id, Actor(*campaign.launched_by), _SCOPES, f"seeds of {campaign.campaign_id}"):
            for team in seeds:
                for variant in range(1, len(campaign.in_variants) + 1):
                    await self._to_seed(campaign, team, variant)

    async def _to_seed(self, campaign: Campaign, team: TeamAddress, variant: int) -> None:
        words = Words(new_id("sgl"), campaign.contact, campaign_id=campaign.campaign_id, variant=variant)
        try:
            await self._posted(f"seed/{campaign.campaign_id}/{team.team_address_id}/{variant}", team, words, {})
        except Conflict as refused:
            log.info("a seed may not be mailed", campaign_id=campaign.campaign_id, refused=refused.type)

    async def _posted(self, key: str, team: TeamAddress, words: Words, fields: Mapping[str, str]) -> str:
        to = Addressee(team.address_key, "", team.address, fields)
        return await self._post(team.tenant_id, key, to, words, _FACTS, link=NO_LINK)


class Seeding:
    """Seeds as the planner has them copied: when it takes a campaign on, and again until that has worked once."""

    def __init__(self, copies: SendCopies) -> None:
        self._copies = copies

    async def __call__(self, campaign: Campaign) -> bool:
        """Whether it worked."""
        try:
            await self._copies.to_seeds(campaign)
        except PostlawError as away:
            log.warning("seeds wait", campaign_id=campaign.campaign_id, failure=away.type)
            return False
        return True
