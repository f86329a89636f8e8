"""An address becomes a team's once somebody who reads its mail has said yes."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from postlaw_common.caller import current
from postlaw_common.errors import Conflict
from postlaw_common.ids import new_id
from postlaw_common.store import AlreadyExists, VersionConflict
from postlaw_sending.campaigns.clients import Subscribers
from postlaw_sending.campaigns.contexts import Contexts
from postlaw_sending.campaigns.domain.campaign import Sender
from postlaw_sending.campaigns.use_cases.move_campaign import SenderCheck
from postlaw_sending.team.addresses import MOST, TeamAddresses, link_of
from postlaw_sending.team.domain import TeamAddress

LIFE_US: Final = 7 * 24 * 3600 * 1_000_000
_APART_US: Final = 3600 * 1_000_000  # nobody is asked more often than that

Ask = Callable[[TeamAddress, Sender, str, str], Awaitable[None]]  # the address, from whom, in what language, the link's token


class KeepTeam:
    """`ask` mails the link. `may_send_from`: see MoveCampaign."""

    def __init__(
        self,
        addresses: TeamAddresses,
        subscribers: Subscribers,
        ask: Ask,
        contexts: Callable[[], Contexts],
        may_send_from: SenderCheck | None,
        now_us: Callable[[], int],
    ) -> None:
        self._addresses = addresses
        self._subscribers = subscribers
        self._ask = ask
        self._contexts = contexts
        self._may_send_from = may_send_from
        self._now_us = now_us

    async def add(self, address: str, sender: Sender, language: str, *, seed: bool) -> TeamAddress:
        """Known or new; asked once an hour at most while nobody has answered. Raises Invalid, Conflict (there are too many, the domain is
        not verified, the address may not be mailed), Unavailable."""
        caller = current()
        if self._may_send_from is not None:
            await self._may_send_from(caller.tenant_id, sender.address)
        purpose = "team address"
        async with self._contexts().acting(caller.tenant_id, caller.on_behalf_of or caller.actor, ("decisions:read",), purpose):
            key, _, normalised = await self._subscribers.resolved(address=address)
            team = await self._known_or_new(caller.tenant_id, key, normalised)
            if team.confirmed_at_us or self._now_us() - team.asked_at_us < _APART_US:
                return team if team.seed == seed else await self._addresses.put(replace(team, seed=seed), caller.actor)
            token = secrets.token_urlsafe(32)
            asking = replace(team, seed=seed, link=link_of(token), asked_at_us=self._now_us())
            try:
                stored = await self._addresses.put(asking, caller.actor)
            except (AlreadyExists, VersionConflict) as meanwhile:
                raise Conflict("The address is being added at the same time. Look at it again.") from meanwhile
            await self._ask(stored, sender, language, token)
        return stored

    async def _known_or_new(self, tenant_id: str, address_key: bytes, address: str) -> TeamAddress:
        known = await self._addresses.of_key(tenant_id, address_key)
        if known is not None:
            return known
        if len(await self._addresses.of(tenant_id)) >= MOST:
            raise Conflict(f"There are {MOST} team addresses, and no more are taken: remove one first.")
        return TeamAddress(new_id("tad"), tenant_id, address_key, address, seed=False, created_at_us=self._now_us())

    async def all(self) -> list[TeamAddress]:
        return await self._addresses.of(current().tenant_id)

    async def remove(self, team_address_id: str) -> None:
        caller = current()
        await self._addresses.remove(caller.tenant_id, team_address_id, caller.actor)

    async def described(self, token: str) -> tuple[TeamAddress, bool]:
        """(the address, whether its link has run out unused). Raises NotFound."""
        team = await self._addresses.of_link(token)
        return team, not team.confirmed_at_us and self._now_us() - team.asked_at_us > LIFE_US

    async def confirm(self, token: str) -> tuple[TeamAddress, bool]:
        """As `described`, after the yes. Again changes nothing."""
        while True:
            team, expired = await self.described(token)
            if expired or team.confirmed_at_us:
                return team, expired
            try:
                return await self._addresses.put(replace(team, confirmed_at_us=self._now_us()), None), False
            except VersionConflict:
                continue
