"""MTA-STS policies through restarts, for all workers: a policy that was had once counts for its whole max_age (RFC 8461 §5.1), and
whoever could take the record away would otherwise only have to wait until a worker starts anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from postlaw_common.store import Collection, CollectionSpec, Document
from postlaw_common.store.changing import put
from postlaw_sending.mx.sts_policy import Policy

STS_POLICIES: Final = CollectionSpec("sts_policies")


@dataclass(frozen=True, slots=True)
class KeptPolicy:
    """`id`: of the DNS record by which it was found. `until_us`: since the epoch."""

    id: str
    policy: Policy
    until_us: int


class KeptPolicies:
    """`collection`: `sts_policies` of the database `sending`, one document a domain; one that is over stays until the next takes its
    place. Both methods raise StoreUnavailable."""

    def __init__(self, collection: Callable[[], Collection]) -> None:
        self._open = collection

    async def of(self, domain: str) -> KeptPolicy | None:
        document = await self._open().get(domain)
        if document is None:
            return None
        policy = Policy(document["mode"], tuple(document["mx"]), document["max_age_s"])
        return KeptPolicy(document["policy_id"], policy, document["until_us"])

    async def keep(self, domain: str, kept: KeptPolicy) -> None:
        """In the place of what was kept before, whoever kept it: both were read from the domain's own page."""
        policy = kept.policy
        document: Document = {
            "_id": domain,
            "policy_id": kept.id,
            "mode": policy.mode,
            "mx": list(policy.mx),
            "max_age_s": policy.max_age_s,
            "until_us": kept.until_us,
        }
        await put(self._open(), document)
