"""Whether a person's no stands against what somebody else may have typed: on a form, or as a new address."""

from __future__ import annotations

from postlaw_consent.domain.confirmation import suppressed
from postlaw_consent.domain.message import Asked
from postlaw_consent.domain.scope import Belongs
from postlaw_consent.ledger import Ledger
from postlaw_consent.use_cases.explain_decision import ExplainDecision

# What the law says of an opt-out that no consent of enough evidence has lifted, for the scopes that one may be of.
_STANDS = frozenset({"SUPPRESSED_ALL", "SUPPRESSED_BRAND", "SUPPRESSED_TOPIC"})


class StandingNo:
    def __init__(self, ledger: Ledger, explain: ExplainDecision) -> None:
        self._ledger = ledger
        self._explain = explain

    async def __call__(self, tenant_id: str, belongs: Belongs, address_key: bytes, *, confirming: bool) -> bool:
        """By their own acts, or by the law: a consent recorded since without the evidence that it asks has opened nothing, and must not be
        what lets a form open it. `confirming`: they are to confirm it themselves. Raises StoreUnavailable, and PostlawError where identity
        cannot say where the sender stands."""
        explained = await self._explain(tenant_id, belongs, Asked(), address_key)  # behind a fence
        if any(reason.code in _STANDS for reason in explained.decision.reasons):
            return True
        history = await self._ledger.history(tenant_id, address_key)
        return suppressed([line.fact for line in history], belongs, confirming=confirming)
