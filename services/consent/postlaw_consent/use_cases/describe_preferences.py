"""How the person of a token stands. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from postlaw_consent.domain.fold import fold
from postlaw_consent.domain.preferences import Preferences, preferences
from postlaw_consent.domain.token import OptOut
from postlaw_consent.ledger import Ledger
from postlaw_consent.list_names import ListNames
from postlaw_consent.tokens import Tokens


class DescribePreferences:
    def __init__(self, ledger: Ledger, tokens: Tokens, names: ListNames, now_us: Callable[[], int]) -> None:
        self._ledger = ledger
        self._tokens = tokens
        self._names = names
        self._now_us = now_us

    async def __call__(self, token: str) -> tuple[OptOut, Preferences]:
        """What the token says, and how its person stands. Raises Invalid of type `bad-token`."""
        optout = await self._tokens.open(token)
        return optout, await self.of(optout)

    async def of(self, optout: OptOut, *, newest: bool = False) -> Preferences:
        """`newest`: behind a fence, so that what another instance has just written is in it."""
        if newest:
            await self._ledger.fence()
        history = await self._ledger.history(optout.tenant_id, optout.address_key)
        found = preferences(fold(line.fact for line in history), optout.scope, self._now_us())
        names = await self._names.names(optout.tenant_id, [choice.scope.id for choice in found.choices if choice.scope.kind == "list"])
        return replace(found, choices=tuple(replace(choice, name=names.get(choice.scope.id, "")) for choice in found.choices))
