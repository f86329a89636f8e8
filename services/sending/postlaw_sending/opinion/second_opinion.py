"""The checklist's item of it. It warns at most, also where nothing is answered: the rules (checklist/subjects.py) stand alone then."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final

from postlaw_common.crypto import SealBroken
from postlaw_common.keys import KeysUnavailable
from postlaw_common.store import StoreUnavailable
from postlaw_sending.campaigns.domain.campaign import Campaign
from postlaw_sending.campaigns.domain.ruling import COMMERCIAL
from postlaw_sending.checklist.items import Item
from postlaw_sending.opinion.budget import Budget
from postlaw_sending.opinion.prompts import Prompts

ID: Final = "second_opinion"
_REMEMBERED: Final = 1_000  # answers: a checklist is looked at more than once
_WITHIN_S: Final = 4.0  # of the ten that a launch has: all its subjects' answers, to their last bytes

# By prompt and subject: a kind. Raises what `failures` says.
Ask = Callable[[str, str], Awaitable[str]]


class SecondOpinion:
    """`customers`: by id, those whose region and sub-processors allow it; nobody else's subjects are sent. `kinds`: what is said of
    an answer, "" of one that finds nothing. `failures`: what `ask` raises."""

    def __init__(
        self, ask: Ask, kinds: Mapping[str, str], failures: type[Exception], customers: Collection[str], prompts: Prompts, budget: Budget
    ) -> None:
        self._ask = ask
        self._kinds = kinds
        self._failures = failures
        self._customers = customers
        self._prompts = prompts
        self._budget = budget
        self._known: dict[bytes, str] = {}

    async def __call__(self, campaign: Campaign) -> Item | None:
        """None where it is not asked for: the customer's setting does not allow it, or the campaign is no marketing."""
        if campaign.tenant_id not in self._customers or campaign.message.message_class != COMMERCIAL:
            return None
        try:
            async with asyncio.timeout(_WITHIN_S):
                return await self._item(campaign)
        except TimeoutError:
            return Item(ID, "warn", "Could not be asked: no answer in time", "Look again, or go by the item subject alone.")
        except (self._failures, SealBroken, KeysUnavailable, StoreUnavailable) as failed:
            return Item(ID, "warn", f"Could not be asked: {failed}"[:150], "Look again, or go by the item subject alone.")

    async def _item(self, campaign: Campaign) -> Item:
        prompt = await self._prompts.get()
        if not prompt:
            return Item(ID, "warn", "There is no prompt to ask with.", "The operator puts one in.")
        for subject in dict.fromkeys(words.template.subject for words in campaign.in_variants):
            kind = await self._of(prompt, subject)
            if kind is None:
                return Item(ID, "warn", "No more is asked today.", "Look again tomorrow, or go by the item subject alone.")
            if said := self._kinds[kind]:
                return Item(ID, "warn", f"A second opinion: the subject {said}.", "See that the subject says what the message is.")
        return Item(ID, "pass", "A second opinion finds nothing deceptive.")

    async def _of(self, prompt: str, subject: str) -> str | None:
        asked = hashlib.sha256(b"\0".join((prompt.encode(), subject.encode()))).digest()
        kind = self._known.get(asked)
        if kind is None:
            if not await self._budget.take():
                return None
            kind = await self._ask(prompt, subject)
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[asked] = kind
        return kind
