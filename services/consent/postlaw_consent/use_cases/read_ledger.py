"""Looking without changing: a person's events in pages, and what an unsubscribe link stands for."""

from __future__ import annotations

from dataclasses import dataclass

from postlaw_common.errors import FieldError, Invalid
from postlaw_consent.domain.event import ConsentEvent
from postlaw_consent.domain.fold import fold
from postlaw_consent.domain.preferences import NOT_LISTED
from postlaw_consent.domain.token import OptOut
from postlaw_consent.ledger import Ledger
from postlaw_consent.list_names import ListNames
from postlaw_consent.tokens import Tokens

PAGE = 100
LARGEST_PAGE = 500


@dataclass(frozen=True, slots=True)
class Described:
    optout: OptOut
    already_withdrawn: bool
    list_name: str = ""


class DescribeToken:
    def __init__(self, ledger: Ledger, tokens: Tokens, names: ListNames) -> None:
        self._ledger = ledger
        self._tokens = tokens
        self._names = names

    async def __call__(self, token: str) -> Described:
        """Raises Invalid of type `bad-token`."""
        optout = await self._tokens.open(token)
        history = await self._ledger.history(optout.tenant_id, optout.address_key)
        named = await self._names.named(optout.tenant_id, [optout.scope.id]) if optout.scope.kind == "list" else {}
        closed = fold(line.fact for line in history).standing_withdrawal(optout.scope) is not None
        return Described(optout, closed, named.get(optout.scope.id, NOT_LISTED).name)


class ListConsentEvents:
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def __call__(self, tenant_id: str, address_key: bytes, *, size: int, after: str) -> tuple[list[ConsentEvent], str]:
        """A page in order of version, and the token of the next one ("" at the end). `size` 0: the default."""
        if after and not (after.isascii() and after.isdigit() and len(after) <= 8):
            raise Invalid("That page token is not one of ours.", fields=[FieldError("page_token", "is not one of ours")])
        size = min(size, LARGEST_PAGE) if size > 0 else PAGE
        lines = await self._ledger.page(tenant_id, address_key, after_version=int(after or 0), limit=size + 1)
        events = [line.event() for line in lines[:size]]
        return events, str(events[-1].version) if len(lines) > size else ""
