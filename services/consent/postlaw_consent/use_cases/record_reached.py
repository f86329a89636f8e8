"""A person has pressed the button behind a link that was mailed to them: the mail has arrived, so a bounce before it holds no longer."""

from __future__ import annotations

from postlaw_consent.domain.event import Actor
from postlaw_consent.domain.fold import fold
from postlaw_consent.domain.scope import EVERYTHING
from postlaw_consent.ledger import Ledger
from postlaw_consent.use_cases.record_consents import Consent, RecordConsents


class RecordReached:
    def __init__(self, ledger: Ledger, record: RecordConsents) -> None:
        self._ledger = ledger
        self._record = record

    async def __call__(self, tenant_id: str, address_key: bytes, about: str, source: str) -> None:
        """Records `reachable` where a bounce holds; once, whatever is sent again. `about`: what the link was for, by its id."""
        await self._ledger.fence()
        history = await self._ledger.history(tenant_id, address_key)
        if "bounced" not in fold(line.fact for line in history).holds:
            return
        reached = Consent(
            address_key=address_key, scope=EVERYTHING, route="page", source=source, idempotency_key=f"reachable/{about}", kind="reachable"
        )
        await self._record(tenant_id, Actor("person", address_key.hex()), None, [reached])
