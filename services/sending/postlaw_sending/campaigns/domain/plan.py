"""The plan of one campaign in one partition: how far its audience has been made into batches, and what is being published.

The plan's document is written *before* its batches are published, and names their recipients. Whoever finds it after a crash
looks in the log for those batches and publishes what is missing, with the same recipients under the same numbers: nobody is
lost, nobody comes twice, and the numbers have no gaps (docs/adr/0010).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PlannedBatch:
    """Who is in a batch, in order. `attempt` 0: from the audience. `retries`: ids of the waiting ones that it takes up."""

    attempt: int
    address_keys: Sequence[bytes]
    retries: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Intent:
    """Batches that are about to be published, numbered from `first` on. `jobs_end`: the end of the jobs partition before that."""

    first: int
    jobs_end: int
    batches: tuple[PlannedBatch, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """`next_batch`, `after` (the last address_key taken from the audience) and `audience` (people taken) include the open intent."""

    campaign_id: str
    partition: int
    next_batch: int = 0
    after: bytes = b""
    audience: int = 0
    complete: bool = False  # the audience has been read to its end
    intent: Intent | None = None
    version: int = 0

    def with_group(self, batches: Sequence[PlannedBatch], *, jobs_end: int, complete: bool) -> Plan:
        """The plan that announces these batches; the group before it counts as published from now on."""
        fresh = [batch for batch in batches if batch.attempt == 0 and not batch.retries]
        return Plan(
            self.campaign_id,
            self.partition,
            next_batch=self.next_batch + len(batches),
            after=fresh[-1].address_keys[-1] if fresh else self.after,
            audience=self.audience + sum(len(batch.address_keys) for batch in fresh),
            complete=complete,
            intent=Intent(self.next_batch, jobs_end, tuple(batches)) if batches else None,
            version=self.version,
        )
