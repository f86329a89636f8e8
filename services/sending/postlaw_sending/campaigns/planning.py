"""One turn of planning: the next group of batches of one campaign in one partition, decided, sealed and published.

The order makes it exact (domain/plan.py): the plan, naming who is in the group, is written before the group is published;
recipients that waited are removed before the plan's next write. A planner that finds a group announced by another looks for it
in the log and publishes what is missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from postlaw_common.bus import Bus, Record
from postlaw_common.crypto import seal
from postlaw_common.foreground import step_aside
from postlaw_sending.campaigns.audience import AudienceReader
from postlaw_sending.campaigns.clients import DECIDED_AT_ONCE, PAGE_SIZE, Consent, Page, Subscribers
from postlaw_sending.campaigns.domain.campaign import Campaign, Status
from postlaw_sending.campaigns.domain.plan import Intent, Plan, PlannedBatch
from postlaw_sending.campaigns.domain.recipients import CAMPAIGN_CANCELLED, GONE
from postlaw_sending.campaigns.plans import Plans
from postlaw_sending.campaigns.retries import Retries, Retry
from postlaw_sending.campaigns.sealing import place
from postlaw_sending.campaigns.wire import JOBS, Gate, batch_number, job_batch, job_batch_again, sealed_batch

GROUP = 10  # batches a plan's write
LOOKED_AT_ONCE = 32  # records of the log held in memory while looking for a group


@dataclass(slots=True)
class Led:
    """A campaign that this process plans. What is known of a partition is dropped, and read again, after any failure there."""

    campaign: Campaign
    key: bytes
    plans: dict[int, Plan] = field(default_factory=dict[int, Plan])
    unplanned: set[int] = field(default_factory=set[int])  # partitions that a cancelled campaign never came to
    anybody_waits: bool = False  # somewhere in this campaign
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
        return self.anybody_waits and now >= self.next_look.get(partition, 0.0)

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


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch that is ready but for its number. `people`: a JobBatch; `gate`: what the first gate decided on."""

    batch: PlannedBatch
    people: bytes
    gate: Gate


class Planning:
    """Everything that a turn needs."""

    def __init__(
        self, bus: Bus, plans: Plans, retries: Retries, subscribers: Subscribers, consent: Consent, now_us: Callable[[], int]
    ) -> None:
        self._bus = bus
        self._plans = plans
        self._retries = retries
        self._subscribers = subscribers
        self._consent = consent
        self._now_us = now_us

    async def turn(self, led: Led, partition: int, room: int, jobs_end: int) -> bool:
        """At most `room` batches of this campaign in this partition, the jobs partition's end being `jobs_end`.

        False: there was nothing to plan. Raises VersionConflict when another planner has been here; whatever it raises, the
        caller forgets what it knew of this partition."""
        plan = led.plans.get(partition)
        if plan is None:
            plan = await self._load(led, partition)
            if plan is None:
                led.unplanned.add(partition)
                return False
        waiting = await self._take_up(led, plan, room) if led.anybody_waits else []
        if waiting:
            published = await self._publish(led, plan, waiting, jobs_end, complete=plan.complete)
            await self._close(led, published)
            return True
        if plan.complete or led.campaign.status is not Status.SENDING:
            return False
        group, complete = await self._next_of_audience(led, plan, min(room, GROUP))
        published = await self._publish(led, plan, group, jobs_end, complete=complete)
        if complete:
            await self._close(led, published)
        return bool(group)

    async def _load(self, led: Led, partition: int) -> Plan | None:
        """The plan as it stands in the store, with an open group brought to its end. None: a cancelled campaign never came here."""
        if led.campaign.status is Status.CANCELLED:
            plan = await self._plans.get(led.campaign.campaign_id, partition)
        else:
            plan = await self._plans.get_or_begin(led.campaign.campaign_id, partition)
        if plan is not None and plan.intent is not None:
            await self._finish(led, plan, plan.intent)
            plan = await self._plans.replace(plan.with_group([], jobs_end=0, complete=plan.complete))
        if plan is not None:
            led.plans[partition] = plan
        return plan

    async def _finish(self, led: Led, plan: Plan, intent: Intent) -> None:
        """Looks for an announced group in the log and publishes what is missing, from its first missing batch on."""
        found = await self._found(led.campaign.campaign_id, plan.partition, intent)
        missing = next((i for i in range(len(intent.batches)) if intent.first + i not in found), len(intent.batches))
        batches = intent.batches[missing:]
        retries = {retry.id: retry for retry in await self._retries.get([id for batch in batches for id in batch.retries])}
        prepared = [await self._prepare_again(led, plan.partition, batch, retries) for batch in batches]
        await self._bus.publish(self._sealed(led, plan.partition, intent.first + missing, prepared))
        await self._retries.remove([id for batch in intent.batches for id in batch.retries])

    async def _found(self, campaign_id: str, partition: int, intent: Intent) -> set[int]:
        wanted = set(range(intent.first, intent.first + len(intent.batches)))
        found: set[int] = set()
        start = intent.jobs_end
        while found < wanted:
            records = await self._bus.read_range(JOBS, partition, start, start + LOOKED_AT_ONCE)
            if not records:
                break
            for record in records:
                campaign, batch = batch_number(record.value)
                if campaign == campaign_id and batch in wanted:
                    found.add(batch)
            start = records[-1].offset + 1
        return found

    async def _take_up(self, led: Led, plan: Plan, room: int) -> list[Prepared]:
        """Those whose waiting is over, put together into batches of one attempt each."""
        due = await self._retries.due(led.campaign.campaign_id, plan.partition, self._now_us(), any_time=led.campaign.ended)
        batches: list[list[Retry]] = []
        for retry in due:
            last = batches[-1] if batches else None
            if last and last[0].attempt == retry.attempt and sum(len(r.address_keys) for r in last) + len(retry.address_keys) <= PAGE_SIZE:
                last.append(retry)
            elif len(batches) < min(room, GROUP):
                batches.append([retry])
            else:
                break
        prepared: list[Prepared] = []
        for batch in batches:
            keys = [key for retry in batch for key in retry.address_keys]
            planned = PlannedBatch(batch[0].attempt, keys, tuple(retry.id for retry in batch))
            prepared.append(await self._prepare_again(led, plan.partition, planned, {retry.id: retry for retry in batch}))
        return prepared

    async def _prepare_again(self, led: Led, partition: int, batch: PlannedBatch, retries: dict[str, Retry]) -> Prepared:
        """A batch of exactly these people, opened and decided again."""
        campaign = led.campaign
        ids: dict[bytes, str] = {}
        for id in batch.retries:
            if id in retries:
                ids.update(zip(retries[id].address_keys, retries[id].subscriber_ids, strict=True))
        # After a cancellation nobody's data is opened; the first gate is asked about nobody, for the offset that the batch carries.
        people = {} if campaign.ended else await self._subscribers.people(batch.address_keys)
        known = [key for key in batch.address_keys if key in people]
        answer = await self._consent.decide(campaign, partition, known)
        decisions = dict(zip(known, answer.each, strict=True))
        otherwise = CAMPAIGN_CANCELLED if campaign.ended else GONE
        again = job_batch_again(batch.address_keys, people, decisions, answer.rulings, ids, otherwise)
        return Prepared(batch, again, answer.gate)

    async def _next_of_audience(self, led: Led, plan: Plan, pages: int) -> tuple[list[Prepared], bool]:
        reader = led.readers.get(plan.partition)
        if reader is None:
            list_id, partition = led.campaign.list_id, plan.partition
            reader = led.readers[partition] = AudienceReader(lambda after: self._subscribers.audience(list_id, partition, after))
        taken, complete = await reader.take(plan.after, pages)
        parts = list(_parts(taken))
        decided = await asyncio.gather(*(self._decide(led, plan.partition, part) for part in parts))
        return [prepared for part in decided for prepared in part], complete

    async def _decide(self, led: Led, partition: int, pages: Sequence[Page]) -> list[Prepared]:
        """The first gate for up to 1,000 people in one call."""
        keys = [key for page in pages for key in page.address_keys]
        answer = await self._consent.decide(led.campaign, partition, keys)
        prepared: list[Prepared] = []
        start = 0
        for page in pages:
            end = start + len(page.address_keys)
            people = job_batch(page.people, answer.each[start:end], answer.rulings)
            prepared.append(Prepared(PlannedBatch(0, page.address_keys), people, answer.gate))
            start = end
            await step_aside()  # a page takes a millisecond
        return prepared

    async def _publish(self, led: Led, plan: Plan, group: Sequence[Prepared], jobs_end: int, *, complete: bool) -> Plan:
        stored = await self._plans.replace(plan.with_group([one.batch for one in group], jobs_end=jobs_end, complete=complete))
        led.plans.pop(plan.partition, None)  # until it is published, nobody may believe that it was
        if group:
            await self._bus.publish(self._sealed(led, plan.partition, plan.next_batch, group))
            await self._retries.remove([id for one in group for id in one.batch.retries])
        led.plans[plan.partition] = stored
        return stored

    async def _close(self, led: Led, plan: Plan) -> None:
        """Nothing follows soon: the plan says that its last group is out, so that nobody need look for it."""
        if plan.intent is not None:
            led.plans[plan.partition] = await self._plans.replace(plan.with_group([], jobs_end=0, complete=plan.complete))

    def _sealed(self, led: Led, partition: int, first: int, group: Sequence[Prepared]) -> list[Record]:
        campaign = led.campaign
        records: list[Record] = []
        for number, one in enumerate(group, first):
            aad = place(campaign.campaign_id, partition, number, one.batch.attempt)
            value = sealed_batch(campaign, number, one.batch.attempt, one.gate, len(one.batch.address_keys), seal(led.key, one.people, aad))
            records.append(Record(JOBS, partition, value, campaign.campaign_id.encode()))
        return records


def _parts(pages: Sequence[Page]) -> list[list[Page]]:
    """Pages in runs that one call of the first gate may decide."""
    parts: list[list[Page]] = []
    people = 0
    for page in pages:
        if not parts or people + len(page.address_keys) > DECIDED_AT_ONCE:
            parts.append([])
            people = 0
        parts[-1].append(page)
        people += len(page.address_keys)
    return parts
