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
    """Who is in a batch, in order. `attempt` 0: the first. `retries`, `kept`: ids of the waiting ones, and of those kept back, that it
    takes up; without any, its people come from the audience."""

    attempt: int
    address_keys: Sequence[bytes]
    retries: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Kept:
    """People of the audience who are kept back until `due_us`; `undecided`: and until an A/B test has its winner. `id`: by campaign,
    partition and time, and never used again."""

    id: str
    due_us: int
    address_keys: tuple[bytes, ...]
    subscriber_ids: tuple[str, ...]
    undecided: bool = False


@dataclass(frozen=True, slots=True)
class Intent:
    """Batches that are about to be published, numbered from `first` on, and people about to be kept back. `jobs_end`: the end of
    the jobs partition before that."""

    first: int
    jobs_end: int
    batches: tuple[PlannedBatch, ...]
    kept: tuple[Kept, ...] = ()


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

    def with_group(
        self, batches: Sequence[PlannedBatch], *, jobs_end: int, complete: bool, kept: Sequence[Kept] = (), after: bytes = b""
    ) -> Plan:
        """The plan that announces these; the group before it counts as published from now on. `after`: the last address_key taken from
        the audience, where anybody was."""
        fresh = [batch for batch in batches if not batch.retries and not batch.kept]
        taken = sum(len(batch.address_keys) for batch in fresh) + sum(len(group.address_keys) for group in kept)
        return Plan(
            self.campaign_id,
            self.partition,
            next_batch=self.next_batch + len(batches),
            after=after or self.after,
            audience=self.audience + taken,
            complete=complete,
            intent=Intent(self.next_batch, jobs_end, tuple(batches), tuple(kept)) if batches or kept else None,
            version=self.version,
        )
