"""The person of a token changes one thing about their mail: closing goes through the stop, opening is a fresh express act of theirs.

Each is safe to repeat: what stands so already is answered and adds nothing, and two at once have one idempotency key, since both
saw the person at the same version.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from postlaw_common.errors import FieldError, Invalid
from postlaw_consent.committing import Request
from postlaw_consent.domain.event import Actor, Kind
from postlaw_consent.domain.particulars import Particulars
from postlaw_consent.domain.preferences import Preferences, pause_ends_us
from postlaw_consent.domain.scope import EVERYTHING, Scope
from postlaw_consent.domain.token import OptOut
from postlaw_consent.tokens import Tokens
from postlaw_consent.use_cases.describe_preferences import DescribePreferences
from postlaw_consent.use_cases.record_consents import Consent, RecordConsents
from postlaw_consent.use_cases.withdraw_consent import Outcome, WithdrawConsent

Act = Literal["stop", "start", "pause", "resume", "tracking_off", "tracking_on"]

_CLOSERS: dict[Act, Kind] = {"stop": "withdrawn", "pause": "paused", "tracking_off": "tracking_withdrawn"}
_OPENERS: dict[Act, Kind] = {"start": "given", "resume": "resumed", "tracking_on": "tracking_given"}
_SOURCE = "preference centre"
_LONGEST_PAUSE = 366  # days
# True of every yes on the page: a button of its own, pressed, whose words say who asks, what for, and how to take it back.
_HELD = ("affirmative_act", "separate", "purpose", "requester_named", "withdrawal_info")


@dataclass(frozen=True, slots=True)
class Change:
    """`scope`: of what stops or starts. `pause_days` 0: until the person ends it. `wording`: what the page said where it asked for
    a yes."""

    act: Act
    scope: Scope = EVERYTHING
    pause_days: int = 0
    wording: str = ""
    language: str = ""
    contact_shown: bool = False

    def problems(self) -> list[FieldError]:
        wrong: list[FieldError] = []
        if self.act == "start" and self.scope == EVERYTHING:
            wrong.append(FieldError("scope", "must be a list, a topic or a brand"))
        if not 0 <= self.pause_days <= _LONGEST_PAUSE:
            wrong.append(FieldError("pause_days", f"must lie in 0 … {_LONGEST_PAUSE}"))
        if self.act in _OPENERS and not self.wording:
            wrong.append(FieldError("wording", "must be what the person read before saying yes"))
        return wrong


@dataclass(frozen=True, slots=True)
class Changed:
    """`outcome` None: nothing had to stop. `already`: it stood so before."""

    optout: OptOut
    preferences: Preferences
    outcome: Outcome | None
    already: bool


class ChangePreferences:
    def __init__(
        self,
        tokens: Tokens,
        describe: DescribePreferences,
        withdraw: WithdrawConsent,
        record: RecordConsents,
        now_us: Callable[[], int],
    ) -> None:
        self._tokens = tokens
        self._describe = describe
        self._withdraw = withdraw
        self._record = record
        self._now_us = now_us

    async def __call__(self, token: str, change: Change) -> Changed:
        """Raises Invalid, of type `bad-token` for the token; Unavailable or StoreUnavailable where the ledger did not take it."""
        optout = await self._tokens.open(token)
        if wrong := change.problems():
            raise Invalid("That cannot be changed so.", fields=wrong)
        outcome: Outcome | None = None
        if change.act in _CLOSERS:
            outcome, already = await self._close(optout, change)
        else:
            already = await self._open(optout, change)
        return Changed(optout, await self._describe.of(optout, newest=True), outcome, already)

    async def _close(self, optout: OptOut, change: Change) -> tuple[Outcome, bool]:
        receipt = await self._withdraw(
            Request(
                tenant_id=optout.tenant_id,
                address_key=optout.address_key,
                scope=change.scope if change.act == "stop" else EVERYTHING,
                route="page",
                actor=_person(optout),
                campaign_id=optout.campaign_id,
                kind=_CLOSERS[change.act],
                unless_standing=True,
                particulars=Particulars(
                    until_us=pause_ends_us(self._now_us(), change.pause_days) if change.act == "pause" and change.pause_days else None,
                    language=change.language,
                    method=_SOURCE,
                ),
            )
        )
        return receipt.outcome, receipt.already_withdrawn

    async def _open(self, optout: OptOut, change: Change) -> bool:
        """Whether it was open before."""
        before = await self._describe.of(optout, newest=True)
        if _stands(before, change):
            return True
        scope = change.scope if change.act == "start" else EVERYTHING
        held = (*_HELD, "contact_shown") if change.contact_shown else _HELD
        recorded = await self._record(
            optout.tenant_id,
            _person(optout),
            None,
            [
                Consent(
                    address_key=optout.address_key,
                    scope=scope,
                    route="page",
                    source=_SOURCE,
                    wording=change.wording,
                    notice_hash=hashlib.sha256(change.wording.encode()).digest(),
                    idempotency_key=f"{_SOURCE}/{change.act}/{scope.key}/{before.version}",
                    kind=_OPENERS[change.act],
                    particulars=Particulars(held=held, language=change.language, method=_SOURCE),
                )
            ],
        )
        return recorded.already_recorded > 0


def _stands(before: Preferences, change: Change) -> bool:
    if change.act == "start":
        return before.is_open(change.scope)
    return not before.paused if change.act == "resume" else before.tracking == "given"


def _person(optout: OptOut) -> Actor:
    return Actor("person", optout.address_key.hex())
