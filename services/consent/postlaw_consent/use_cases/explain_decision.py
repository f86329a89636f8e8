"""May this message go to this person, and on what does the answer rest? The same gate as a campaign's, for one person and in full."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from postlaw_consent.domain.fold import fold
from postlaw_consent.domain.gate import Gate
from postlaw_consent.domain.message import Asked
from postlaw_consent.domain.scope import Belongs
from postlaw_consent.ledger import Ledger
from postlaw_consent.use_cases.get_decisions import SenderOf
from postlaw_law.decision import Decision
from postlaw_law.law import Law


@dataclass(frozen=True, slots=True)
class Explained:
    """`evidence`: ids of the ledger's events that the answer rests on, in their order."""

    decision: Decision
    evidence: list[str]
    decided_at_us: int


class ExplainDecision:
    def __init__(self, ledger: Ledger, law: Law, sender_of: SenderOf, now_us: Callable[[], int]) -> None:
        self._ledger = ledger
        self._law = law
        self._sender_of = sender_of
        self._now_us = now_us

    async def __call__(self, tenant_id: str, belongs: Belongs, asked: Asked, address_key: bytes) -> Explained:
        message = asked.by(await self._sender_of(tenant_id), belongs)
        await self._ledger.fence()
        history = await self._ledger.history(tenant_id, address_key)
        now = self._now_us()
        state = fold(line.fact for line in history)
        decision = Gate(message, self._law, now).decide(state.person(), state.latest_us)
        rests_on = {int(version) for version in decision.evidence}
        return Explained(decision, [line.event().event_id for line in history if line.fact.version in rests_on], now)
