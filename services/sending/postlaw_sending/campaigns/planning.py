"""One turn of planning: the next group of batches of one campaign in one partition, decided, sealed and published.

The order makes it exact (domain/plan.py): the plan, naming who is in the group, is written before the group is published;
recipients that waited are removed before the plan's next write. A planner that finds a group announced by another looks for it
in the log and publishes what is missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from postlaw_common.bus import Bus, Record
from postlaw_common.crypto import seal
from postlaw_common.foreground import step_aside
from postlaw_sending.campaigns.audience import AudienceReader
from postlaw_sending.campaigns.clients import DECIDED_AT_ONCE, PAGE_SIZE, Consent, Decisions, Page, Subscribers
from postlaw_sending.campaigns.domain.campaign import Campaign, Status
from postlaw_sending.campaigns.domain.plan import Intent, Kept, Plan, PlannedBatch
from postlaw_sending.campaigns.domain.recipients import CAMPAIGN_CANCELLED, FREQUENCY_CAP, GONE, LONG_SILENT, PROVIDER_HELD
from postlaw_sending.campaigns.gathering import ids_of, kept_in_batches, keys_of, of_kept, of_retries, retries_in_batches
from postlaw_sending.campaigns.kept_back import KeptBack
from postlaw_sending.campaigns.led import Led
from postlaw_sending.campaigns.paces import Paces
from postlaw_sending.campaigns.placing import keep_back
from postlaw_sending.campaigns.plans import Plans
from postlaw_sending.campaigns.retries import Retries
from postlaw_sending.campaigns.sealing import place
from postlaw_sending.campaigns.wire import JOBS, Gate, batch_number, job_batch, job_batch_again, refuse, refuse_at, sealed_batch

GROUP = 10  # batches a plan's write
KEPT_AT_ONCE = 50  # groups of people kept back that a turn looks at
LOOKED_AT_ONCE = 32  # records of the log held in memory while looking for a group


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch that is ready but for its number. `people`: a JobBatch; `gate`: what the first gate decided on."""

    batch: PlannedBatch
    people: bytes
    gate: Gate


@dataclass(frozen=True, slots=True)
class Group:
    """What a turn does. `after`: the last address_key taken from the audience, b"" where nobody was; `complete`: it is read to its end."""

    batches: Sequence[Prepared]
    kept: Sequence[Kept] = ()
    after: bytes = b""
    complete: bool = False


HadEnough = Callable[[Campaign, Sequence[bytes]], Awaitable[set[bytes]]]
LongSilent = Callable[[str, int, Sequence[bytes]], Awaitable[set[bytes]]]
HeldAt = Callable[[str], Awaitable[frozenset[str]]]


class Planning:
    """Everything that a turn needs. `had_enough`: of some people, by address key, whom the customer's frequency cap keeps from it.
    `long_silent`: by customer and days, who has given no sign for longer, of people who might have. `held_at`: by customer, the mailbox
    providers whose people get no marketing of theirs for now."""

    def __init__(
        self,
        bus: Bus,
        plans: Plans,
        retries: Retries,
        kept: KeptBack,
        paces: Paces,
        subscribers: Subscribers,
        consent: Consent,
        had_enough: HadEnough,
        long_silent: LongSilent,
        held_at: HeldAt,
        now_us: Callable[[], int],
    ) -> None:
        self._bus = bus
        self._plans = plans
        self._retries = retries
        self._kept = kept
        self._paces = paces
        self._subscribers = subscribers
        self._consent = consent
        self._had_enough = had_enough
        self._long_silent = long_silent
        self._held_at = held_at
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
        if not waiting and led.anybody_kept:
            waiting = await self._take_kept(led, plan, room)
        if waiting:
            published = await self._publish(led, plan, Group(waiting, complete=plan.complete), jobs_end)
            await self._close(led, published)
            return True
        if plan.complete or led.campaign.status is not Status.SENDING:
            return False
        group = await self._next_of_audience(led, plan, min(room, GROUP))
        published = await self._publish(led, plan, group, jobs_end)
        if group.complete:
            await self._close(led, published)
        return bool(group.batches or group.kept)

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
        await self._kept.put(led.campaign.campaign_id, plan.partition, intent.kept)
        retries = await self._retries.get([id for batch in batches for id in batch.retries])
        kept = await self._kept.get([id for batch in batches for id in batch.kept])
        ids = ids_of([*retries, *kept])
        prepared = [await self._prepare_again(led, plan.partition, batch, ids) for batch in batches]
        if prepared:
            await self._bus.publish(self._sealed(led, plan.partition, intent.first + missing, prepared))
        await self._taken(led.campaign.campaign_id, intent.batches)

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
        batches = retries_in_batches(led, due, min(room, GROUP))
        return [await self._prepare_again(led, plan.partition, of_retries(batch), ids_of(batch)) for batch in batches]

    async def _take_kept(self, led: Led, plan: Plan, room: int) -> list[Prepared]:
        """Those whose time has come, as far as the campaign's pace goes."""
        campaign, now_us = led.campaign, self._now_us()
        an_hour = 0 if campaign.ended else campaign.messages_per_hour
        allowed, paid = await self._paces.allowed(campaign.campaign_id, an_hour, now_us) if an_hour else (GROUP * PAGE_SIZE, None)
        if not allowed:
            return []
        decided = campaign.ab_test is not None and campaign.ab_test.winner > 0
        due = await self._kept.due(
            campaign.campaign_id, plan.partition, now_us, decided=decided, any_time=campaign.ended, limit=KEPT_AT_ONCE
        )
        batches = kept_in_batches(led, due, min(room, GROUP), allowed)
        taken = sum(len(keys_of(batch)) for batch in batches)
        if an_hour and taken and not await self._paces.pay(campaign.campaign_id, paid, an_hour, now_us, taken):
            return []
        return [await self._prepare_again(led, plan.partition, of_kept(batch), ids_of(batch)) for batch in batches]

    async def _taken(self, campaign_id: str, batches: Sequence[PlannedBatch]) -> None:
        await self._retries.remove([id for batch in batches for id in batch.retries])
        await self._kept.taken(campaign_id, [id for batch in batches for id in batch.kept])

    async def _prepare_again(self, led: Led, partition: int, batch: PlannedBatch, ids: Mapping[bytes, str]) -> Prepared:
        """A batch of exactly these people, opened and decided again. `ids`: their subscriber ids."""
        campaign = led.campaign
        # After a cancellation nobody's data is opened; the first gate is asked about nobody, for the offset that the batch carries.
        people = {} if campaign.ended else await self._subscribers.people(batch.address_keys)
        known = [key for key in batch.address_keys if key in people]
        answer = await self._consent.decide(campaign, partition, known)
        decisions = dict(zip(known, answer.each, strict=True))
        otherwise = CAMPAIGN_CANCELLED if campaign.ended else GONE
        again = job_batch_again(batch.address_keys, people, decisions, answer.rulings, ids, otherwise)
        full = await self._had_enough(campaign, known)
        again = refuse(again, full, FREQUENCY_CAP) if full else again
        if campaign.leave_out_silent_days and (silent := await self._silent(campaign, known, answer, full)):
            again = refuse(again, silent, LONG_SILENT)
        held = await self._held(campaign)
        return Prepared(batch, refuse_at(again, held, PROVIDER_HELD) if held else again, answer.gate)

    async def _next_of_audience(self, led: Led, plan: Plan, pages: int) -> Group:
        reader = led.readers.get(plan.partition)
        if reader is None:
            list_id, partition = led.campaign.list_id, plan.partition
            reader = led.readers[partition] = AudienceReader(lambda after: self._subscribers.audience(list_id, partition, after))
        taken, complete = await reader.take(plan.after, pages)
        after = taken[-1].address_keys[-1] if taken else b""
        kept: Sequence[Kept] = ()
        if led.campaign.keeps_back:
            taken, kept = keep_back(led, plan, taken, self._now_us())
        parts = list(_parts(taken))
        decided = await asyncio.gather(*(self._decide(led, plan.partition, part) for part in parts))
        return Group([prepared for part in decided for prepared in part], kept, after, complete)

    async def _decide(self, led: Led, partition: int, pages: Sequence[Page]) -> list[Prepared]:
        """The first gate for up to 1,000 people in one call."""
        keys = [key for page in pages for key in page.address_keys]
        answer = await self._consent.decide(led.campaign, partition, keys)
        full = await self._had_enough(led.campaign, keys)
        silent = await self._silent(led.campaign, keys, answer, full) if led.campaign.leave_out_silent_days else set[bytes]()
        held = await self._held(led.campaign)
        prepared: list[Prepared] = []
        start = 0
        for page in pages:
            end = start + len(page.address_keys)
            people = job_batch(page.people, answer.each[start:end], answer.rulings)
            if not full.isdisjoint(page.address_keys):
                people = refuse(people, full, FREQUENCY_CAP)
            if not silent.isdisjoint(page.address_keys):
                people = refuse(people, silent, LONG_SILENT)
            if held:
                people = refuse_at(people, held, PROVIDER_HELD)
            prepared.append(Prepared(PlannedBatch(0, page.address_keys), people, answer.gate))
            start = end
            await step_aside()  # a page takes a millisecond
        return prepared

    async def _silent(self, campaign: Campaign, keys: Sequence[bytes], answer: Decisions, full: Collection[bytes]) -> set[bytes]:
        """Of those whom the law and the cap let have it, and who allow what this campaign asks to know: nobody else could give a sign."""
        might = [key for key in answer.might_give_a_sign(keys) if key not in full]
        return await self._long_silent(campaign.tenant_id, campaign.leave_out_silent_days, might) if might else set()

    async def _held(self, campaign: Campaign) -> frozenset[str]:
        return await self._held_at(campaign.tenant_id) if campaign.message.is_marketing else frozenset()

    async def _publish(self, led: Led, plan: Plan, group: Group, jobs_end: int) -> Plan:
        batches = [one.batch for one in group.batches]
        announced = plan.with_group(batches, jobs_end=jobs_end, complete=group.complete, kept=group.kept, after=group.after)
        stored = await self._plans.replace(announced)
        led.plans.pop(plan.partition, None)  # until it is published, nobody may believe that it was
        if group.kept:
            await self._kept.put(led.campaign.campaign_id, plan.partition, group.kept)
            led.anybody_kept = True
        if batches:
            await self._bus.publish(self._sealed(led, plan.partition, plan.next_batch, group.batches))
            await self._taken(led.campaign.campaign_id, batches)
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
            keys = one.batch.address_keys
            value = sealed_batch(
                campaign, number, one.batch.attempt, one.gate, len(keys), seal(led.key, one.people, aad), led.variant(keys[0])
            )
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
