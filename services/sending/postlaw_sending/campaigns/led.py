"""A campaign in the hands of the process that plans it."""

from __future__ import annotations

from dataclasses import dataclass, field

from postlaw_sending.campaigns.audience import AudienceReader
from postlaw_sending.campaigns.domain.ab_test import variant_of
from postlaw_sending.campaigns.domain.campaign import Campaign, Status
from postlaw_sending.campaigns.domain.plan import Plan


@dataclass(slots=True)
class Led:
    """A campaign that this process plans. What is known of a partition is dropped, and read again, after any failure there."""

    campaign: Campaign
    key: bytes
    plans: dict[int, Plan] = field(default_factory=dict[int, Plan])
    unplanned: set[int] = field(default_factory=set[int])  # partitions that a cancelled campaign never came to
    anybody_waits: bool = False  # somewhere in this campaign
    anybody_kept: bool = False  # back, somewhere in this campaign
    seeded: bool = False
    next_look: dict[int, float] = field(default_factory=dict[int, float])  # when to look for waiting ones, by partition
    not_before: dict[int, float] = field(default_factory=dict[int, float])  # after a failure, by partition
    failures: dict[int, int] = field(default_factory=dict[int, int])
    busy: set[int] = field(default_factory=set[int])  # partitions with a turn under way
    readers: dict[int, AudienceReader] = field(default_factory=dict[int, AudienceReader])

    def has_work(self, partition: int, now: float) -> bool:
        """Whether a turn may find something; `now`, monotonic seconds."""
        if self.campaign.status not in (Status.SENDING, Status.CANCELLED) or now < self.not_before.get(partition, 0.0):
            return False
        if partition in self.unplanned:
            return False
        plan = self.plans.get(partition)
        if plan is None or (not plan.complete and self.campaign.status is Status.SENDING):
            return True
        return (self.anybody_waits or self.anybody_kept) and now >= self.next_look.get(partition, 0.0)

    def variant(self, address_key: bytes) -> int:
        """Whose words a person gets, from 1 on; 0 where there is no A/B test, or its winner is not chosen and they wait for it."""
        test = self.campaign.ab_test
        return variant_of(test, self.key, self.campaign.campaign_id, address_key) or test.winner if test else 0

    @property
    def planned(self) -> list[Plan] | None:
        """The plans of all partitions once nothing of the audience is left to plan; None before."""
        plans = list(self.plans.values())
        ready = all(plan.intent is None and (plan.complete or self.campaign.status is Status.CANCELLED) for plan in plans)
        return plans if ready else None

    async def forget(self, partition: int) -> None:
        """Nothing that was known of this partition counts any more."""
        self.plans.pop(partition, None)
        reader = self.readers.pop(partition, None)
        if reader is not None:
            await reader.close()

    async def close_readers(self) -> None:
        """But for those in use; whoever uses one closes it."""
        for partition in self.readers.keys() - self.busy:
            await self.readers.pop(partition).close()
