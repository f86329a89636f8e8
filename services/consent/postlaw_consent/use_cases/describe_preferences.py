"""How the person of a token stands. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable

from postlaw_consent.domain.fold import fold
from postlaw_consent.domain.preferences import Preferences, preferences, scopes_of
from postlaw_consent.domain.token import OptOut
from postlaw_consent.ledger import Ledger
from postlaw_consent.list_names import ListNames
from postlaw_consent.tokens import Tokens


class DescribePreferences:
    def __init__(self, ledger: Ledger, tokens: Tokens, lists: ListNames, now_us: Callable[[], int]) -> None:
        self._ledger = ledger
        self._tokens = tokens
        self._lists = lists
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
        state = fold(line.fact for line in history)
        ids = [scope.id for scope in scopes_of(state, optout.scope) if scope.kind == "list"]
        return preferences(state, optout.scope, await self._lists.named(optout.tenant_id, ids), self._now_us())
