"""Whoever runs the installation takes back what they closed. It opens nothing by itself: what else stands closed stays so."""

from __future__ import annotations

from postlaw_consent.domain.event import Actor
from postlaw_consent.domain.fold import fold
from postlaw_consent.domain.scope import PLATFORM
from postlaw_consent.ledger import Ledger
from postlaw_consent.use_cases.record_consents import Consent, RecordConsents


class LiftPlatformStop:
    def __init__(self, ledger: Ledger, record: RecordConsents) -> None:
        self._ledger = ledger
        self._record = record

    async def __call__(self, tenant_id: str, address_key: bytes, source: str, actor: Actor, on_behalf_of: Actor | None) -> bool:
        """Whether it stood. Raises StoreUnavailable, Unavailable; asking again is safe."""
        await self._ledger.fence()
        state = fold(line.fact for line in await self._ledger.history(tenant_id, address_key))
        if state.standing_withdrawal(PLATFORM) is None:
            return False
        lifted = Consent(address_key, PLATFORM, "api", source=source, kind="lifted")
        await self._record(tenant_id, actor, on_behalf_of, [lifted])
        return True
