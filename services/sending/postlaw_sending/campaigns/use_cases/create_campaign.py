"""A draft: its templates compile, its list exists, its sender can be mailed from."""

from __future__ import annotations

from collections.abc import Callable

from postlaw_common.caller import current
from postlaw_common.errors import FieldError, Invalid, NotFound
from postlaw_common.ids import new_id
from postlaw_common.made_once import RequestKey, fingerprint
from postlaw_sending.campaigns.campaigns import Campaigns
from postlaw_sending.campaigns.clients import Subscribers
from postlaw_sending.campaigns.contexts import Contexts
from postlaw_sending.campaigns.domain.campaign import Campaign, Sender, Template
from postlaw_sending.campaigns.domain.ruling import MessageFacts


class CreateCampaign:
    """`check` compiles the campaign's messages and raises Invalid, naming each wrong field."""

    def __init__(
        self,
        campaigns: Campaigns,
        subscribers: Subscribers,
        contexts: Callable[[], Contexts],
        check: Callable[[Campaign], object],
        now_us: Callable[[], int],
    ) -> None:
        self._campaigns = campaigns
        self._subscribers = subscribers
        self._contexts = contexts
        self._check = check
        self._now_us = now_us

    async def __call__(
        self, name: str, list_id: str, sender: Sender, template: Template, message: MessageFacts, idempotency_key: str
    ) -> Campaign:
        """Raises Invalid (also for a list that does not exist), KeyReused, Unavailable."""
        caller = current()
        campaign_id = new_id("cmp")
        list_name, brand = await self._list_named(list_id, campaign_id)
        campaign = Campaign(
            campaign_id=campaign_id,
            tenant_id=caller.tenant_id,
            name=name,
            list_id=list_id,
            list_name=list_name,
            sender=sender,
            template=template,
            message=message,
            created_at_us=self._now_us(),
            brand=brand,
        )
        self._check(campaign)
        asked = fingerprint(
            name, list_id, sender.name, sender.address, sender.postal_address, template.subject, template.html, template.text,
            message.message_class, *message.states,
        )  # fmt: skip
        return await self._campaigns.insert(campaign, caller.actor, RequestKey(caller.tenant_id, idempotency_key), asked)

    async def _list_named(self, list_id: str, campaign_id: str) -> tuple[str, str]:
        # In our own name: whoever may write campaigns need not have the right to read lists.
        caller = current()
        purpose = f"campaign {campaign_id}"
        async with self._contexts().acting(caller.tenant_id, caller.on_behalf_of or caller.actor, ("lists:read",), purpose):
            try:
                return await self._subscribers.list_named(list_id)
            except NotFound as missing:
                wrong = FieldError("list_id", "there is no such list; create it first")
                raise Invalid("The campaign has no list to go to.", fields=[wrong]) from missing
