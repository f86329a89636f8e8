"""One run: three partitions, two campaigns (the second on the topic of single messages), people who say stop, and whatever may happen to
workers and to what they stand on.

Longer than 300 lines: every fault works on the one state of a run, and is read beside the others with which it may coincide.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from postlaw.consent.v1 import consent_pb2 as consent
from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.bus import BusUnavailable, Record
from postlaw_common.bus.generation import GenerationOver, Generations
from postlaw_sending.stop.await_stopped import AwaitStopped
from postlaw_sending.stop.holding import CLAIMED, DEFERRED
from postlaw_sending.stop.holdings import HOLDINGS, Holdings
from postlaw_sending.stop.observing import Observer
from postlaw_sending.stop.scope import recipient_tag
from postlaw_sending.stop.watermarks import Watermarks
from postlaw_sending.stop.wire import CONSENT_EVENTS, JOBS, OUTCOMES, SINGLES
from postlaw_sending.worker.ownership import WORKERS
from postlaw_sending.worker.worker import Outside, Worker
from services.sending.tests.simulation.mailing import Open, Person, opened
from services.sending.tests.simulation.receiver import Wire
from services.sending.tests.simulation.world import PARTITIONS, FakeBus, FakeStore, Process, World

TENANT, CAMPAIGNS, PEOPLE, BATCH, LANES = "ten_1", ("cmp_1", "cmp_2"), 150, 5, 2
STOPS = 30
LIST, BRAND = consent.Scope(list_id="lst_1"), consent.Scope(brand="Acme")
ELSEWHERE = consent.Scope(topic="prices")
# What stops the mail of LIST, which is of that brand; the last kind is of a version that is still to come.
_Event = consent.ConsentEvent
STOPPING = [
    *(
        (kind, scope)
        for kind in (_Event.KIND_WITHDRAWN, _Event.KIND_REFUSED, _Event.KIND_INVALIDATED)
        for scope in (LIST, BRAND, consent.Scope())
    ),
    (_Event.KIND_COMPLAINED, BRAND),
    *((kind, ELSEWHERE) for kind in (_Event.KIND_COMPLAINED, _Event.KIND_OBJECTED, _Event.KIND_RESTRICTED, _Event.KIND_PAUSED)),
    (_Event.Kind.ValueType(99), ELSEWHERE),
]
CHAOS_S, FINISHES_S = 25.0, 1000.0

BatchName = tuple[str, int, int]  # campaign, partition, number


@dataclass
class Answer:
    person: int
    stopped: bool
    at: float


@dataclass
class Told:
    """A worker as the schedule knows it."""

    process: Process
    worker: Worker
    task: asyncio.Task[None]
    leaving: bool = False


@dataclass
class Schedule:
    chance: random.Random
    world: World
    moves: bool = False  # workers come and go in order
    restore: Literal["", "emptied", "raised"] = ""  # after the chaos: what becomes of the topics
    second_after: float = 0.0  # seconds between the first worker's start and the second's
    workers: list[Told] = field(default_factory=list[Told])
    answers: list[Answer] = field(default_factory=list[Answer])
    batches: dict[BatchName, list[int]] = field(default_factory=dict[BatchName, list[int]])
    generation: str = ""
    topics: dict[str, str] = field(default_factory=lambda: {"cmp_1": JOBS, "cmp_2": SINGLES})  # where a campaign's batches are
    campaigns: list[str] = field(default_factory=lambda: list(CAMPAIGNS))  # those that are to reach everyone
    before: set[bytes] = field(default_factory=set[bytes])  # who stood as withdrawn in consent's ledger before a restore
    ledger: set[bytes] = field(default_factory=set[bytes])
    settled: dict[BatchName, sending.BatchSettled] = field(default_factory=dict[BatchName, sending.BatchSettled])
    final: dict[tuple[str, int], int] = field(default_factory=dict[tuple[str, int], int])
    silences: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])  # while the bus was away
    _tasks: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])
    _read: list[int] = field(default_factory=lambda: [0] * PARTITIONS)

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.add(asyncio.create_task(work))

    # ---- the run

    async def run(self) -> None:
        self.topics["cmp_3"] = self.chance.choice([JOBS, SINGLES])
        api = Process(self.world, "api")
        store = FakeStore(api)
        holdings = Holdings(lambda: store.collection(HOLDINGS.name), PARTITIONS)
        await holdings.ensure()
        self.generation = await Generations(FakeBus(api)).begin()
        watermarks = Watermarks(FakeBus(api))
        self.begin(watermarks.run())
        asking = AwaitStopped(holdings, watermarks, Observer(), Generations(FakeBus(api)))
        self.start_worker()
        self.world.loop.call_later(self.second_after, self.start_worker)
        for campaign in CAMPAIGNS:
            self.begin(self._plan(campaign))
        for _ in range(STOPS):
            self.begin(self._say_stop(self.chance.uniform(0, CHAOS_S + 5), api, asking))
        if self.moves:
            await self._move()
        if not self.world.calm:
            await self._chaos(api)
            self._heal(api)
        if self.restore:
            await self._restore(api)
        async with asyncio.timeout(FINISHES_S):
            while not self._all_final() or len(self.answers) < STOPS:
                await asyncio.sleep(0.25)
                self._project()
                self._nobody_failed()
        await asyncio.sleep(10)  # whatever is still on its way arrives
        self._project()

    def _all_final(self) -> bool:
        return all((campaign, person) in self.final for campaign in self.campaigns for person in range(PEOPLE))

    async def _restore(self, api: Process) -> None:
        """Workers and consent run on, and one of them stands still; what was being sent is given up, and another campaign begins."""
        self._pause(self.chance.choice(self.workers).process, self.chance.uniform(0, 10))
        self.before, self.campaigns = set(self.ledger), ["cmp_3"]
        if self.restore == "emptied":
            self.world.empty()
            self._read = [0] * PARTITIONS
            await until_it_is_back(Generations(FakeBus(api)).begin)
        else:
            await until_it_is_back(Generations(FakeBus(api)).raise_)
        self.begin(self._leave_off(api))
        self.start_worker()
        await asyncio.sleep(self.chance.uniform(0, 3))

    async def _leave_off(self, api: Process) -> None:
        """Consent and the planner are started again, a while after the topics have changed."""
        await asyncio.sleep(self.chance.uniform(0, 2))
        self.generation = await until_it_is_back(Generations(FakeBus(api)).now)
        await self._plan("cmp_3")

    def _nobody_failed(self) -> None:
        for told in self.workers:
            if told.task.done() and not told.task.cancelled():
                failure = told.task.exception()
                if isinstance(failure, ExceptionGroup) and failure.split(GenerationOver)[1] is None:
                    continue
                told.task.result()
        for task in self._tasks:
            if task.done() and not task.cancelled():
                task.result()

    # ---- workers

    def start_worker(self) -> None:
        process = Process(self.world, f"worker {len(self.workers)}")
        store = FakeStore(process)
        wires: list[Wire | None] = [None] * LANES

        def source(lane: int) -> Callable[[], Awaitable[Wire]]:
            async def connection() -> Wire:
                wire = wires[lane]
                if wire is None or not wire.alive:
                    await process.step(0.3)
                    wire = wires[lane] = Wire(process, 4, self._stumble, step_by_step=lane == 0 and not self.world.receiver.slow)
                return wire

            return connection

        async def opener(sealed: sending.SealedBatch, partition: int) -> Open:
            await process.step()
            return opened(sealed)

        worker = Worker(
            Outside(
                FakeBus(process),
                Generations(FakeBus(process)),
                Holdings(lambda: store.collection(HOLDINGS.name), PARTITIONS),
                lambda: store.collection(WORKERS.name),
                opener,
                lambda campaign: "sending",
                [source(lane) for lane in range(LANES)],
            ),
            worker_id=process.name,
        )
        self.workers.append(Told(process, worker, asyncio.create_task(worker.run())))

    def _stumble(self, process: Process) -> None:
        """Stopped between its check and its write."""
        if not self.world.calm and self.chance.random() < 0.01:
            self._pause(process, self.chance.uniform(0.5, 8))

    def _pause(self, process: Process, seconds: float) -> None:
        process.pause()
        self.world.loop.call_later(seconds, process.resume)

    def _kill(self, told: Told) -> None:
        told.process.kill()
        told.task.cancel()

    async def _leave(self, told: Told) -> None:
        told.leaving = True
        with suppress(Exception):
            await told.worker.stop()
        self._kill(told)

    # ---- what happens

    async def _chaos(self, api: Process) -> None:
        until = self.world.loop.time() + CHAOS_S
        while self.world.loop.time() < until:
            await asyncio.sleep(self.chance.uniform(0.1, 2.5))
            living = [told for told in self.workers if told.process.alive and not told.leaving]
            told = self.chance.choice(living) if living else None
            match self.chance.randrange(13):
                case 0 | 1 if told:
                    self._pause(told.process, self.chance.uniform(0.5, 8))
                case 2 if told:
                    self._kill(told)
                case 3 if told and len(living) > 1:
                    self.begin(self._leave(told))
                case 4 if len(living) < 4:
                    self.start_worker()
                case 5:
                    self.begin(self._bus_away(self.chance.uniform(0.3, 5)))
                case 6:
                    self.begin(self._store_away(self.chance.uniform(0.3, 6)))
                case 7:
                    self.world.receiver.trouble = self.chance.choice([0.0, 0.05, 0.3])
                case 8:
                    self._pause(api, self.chance.uniform(0.3, 5))
                case 9:
                    self.world.loses_answers = self.chance.choice([0.0, 0.02, 0.2])
                case 10:
                    self.world.loses_marks = self.chance.choice([0.0, 0.05, 0.4])
                case 11:
                    self.world.repeats = self.chance.choice([0.0, 0.1, 0.5])
                case 12 if self.batches:
                    self._copy_late(self.chance.choice(list(self.batches)))
                case _:
                    self.start_worker()

    def _copy_late(self, name: BatchName) -> None:
        """A planner that was lost long ago, and comes back with a batch that it had announced."""
        campaign, partition, number = name
        for record in self.world.log[self.topics[campaign], partition]:
            sealed = sending.SealedBatch.FromString(record.value)
            if (sealed.campaign_id, sealed.batch) == (campaign, number):
                self.world.append(Record(record.topic, partition, record.value))
                return

    async def _move(self) -> None:
        """Workers come and go in order."""
        for _ in range(3):
            await asyncio.sleep(self.chance.uniform(3, 6))
            self.start_worker()
            await asyncio.sleep(self.chance.uniform(1, 3))
            await self._leave(self.workers[-3])

    async def _bus_away(self, seconds: float) -> None:
        if not self.world.bus_away:
            self.world.bus_away = True
            began = self.world.loop.time()
            await asyncio.sleep(seconds)
            self.world.bus_away = False
            self.silences.append((began, self.world.loop.time()))

    async def _store_away(self, seconds: float) -> None:
        self.world.store_away = True
        await asyncio.sleep(seconds)
        self.world.store_away = False

    def _heal(self, api: Process) -> None:
        self.world.receiver.trouble = 0.0
        self.world.loses_answers = self.world.loses_marks = self.world.repeats = 0.0
        for process in (api, *(told.process for told in self.workers)):
            process.resume()
        self.start_worker()

    # ---- people and campaigns

    def _whom(self) -> int:
        """Mostly one whose message is about to leave, is under way, or has just been lost sight of: there a stop is hardest."""
        claimed: list[bytes] = []
        for told in self.workers:
            for partition in told.worker.held.values():
                for claim in partition.claims:
                    claimed += [
                        claim.batch.recipients[index].address_key for index in claim.indexes if claim.batch.states[index] == CLAIMED
                    ]
        chosen = [int.from_bytes(key[1:], "big") for key in claimed]
        return self.chance.choice(chosen) if chosen and self.chance.random() < 0.7 else self.chance.randrange(PEOPLE)

    async def _say_stop(self, at: float, api: Process, asking: AwaitStopped) -> None:
        await asyncio.sleep(at)
        person, generation = self._whom(), self.generation
        bus, partition = FakeBus(api), person % PARTITIONS
        key = Person(person).address_key
        kind, scope = self.chance.choice(STOPPING)
        event = consent.ConsentEvent(tenant_id=TENANT, address_key=key, kind=kind, scope=scope)
        self.ledger.add(key)
        record = Record(CONSENT_EVENTS, partition, event.SerializeToString())
        answered = False
        while True:
            try:
                [offset] = await bus.publish([record])
            except BusUnavailable:
                # The ledger has it: recorded, and published later.
                if not answered:
                    self.answers.append(Answer(person, False, self.world.loop.time()))
                    answered = True
                await asyncio.sleep(0.5)
                continue
            break
        if not answered:
            answer = await asking(recipient_tag(TENANT, key), partition, offset, generation)
            await api.step()
            self.answers.append(Answer(person, answer.stopped, self.world.loop.time()))

    async def _plan(self, campaign: str) -> None:
        for start in range(0, PEOPLE // PARTITIONS, BATCH):
            for partition in range(PARTITIONS):
                await asyncio.sleep(self.chance.uniform(0, 0.5))
                people = [n for n in range(PEOPLE) if n % PARTITIONS == partition][start : start + BATCH]
                await self._publish_batch(campaign, partition, people, 0)

    async def _publish_batch(self, campaign: str, partition: int, people: list[int], attempt: int) -> None:
        """Through the first gate, whose offset is read before it decides; some time passes before it is in the log, once or twice."""
        number = sum(1 for name in self.batches if name[:2] == (campaign, partition))
        self.batches[campaign, partition, number] = people
        consent_log = self.world.log[CONSENT_EVENTS, partition]
        end = len(consent_log)
        withdrawn = self.before | {consent.ConsentEvent.FromString(record.value).address_key for record in consent_log[:end]}
        words = [f"{n}!" if Person(n).address_key in withdrawn else str(n) for n in people]
        job = sending.SealedBatch(
            tenant_id=TENANT,
            campaign_id=campaign,
            batch=number,
            attempt=attempt,
            scope=LIST,
            brand=BRAND.brand,
            consent_offset=end,
            expires_at_us=1 << 62,
            size=len(people),
            sealed=" ".join(words).encode(),
            generation=self.generation,
        )
        for _ in range(self.chance.choice([1, 1, 1, 2])):
            self.world.append(Record(self.topics[campaign], partition, job.SerializeToString()))

    def _project(self) -> None:
        """What the settled batches say; those put off are planned again, once."""
        for partition in range(PARTITIONS):
            log = self.world.log[OUTCOMES, partition]
            for record in log[self._read[partition] :]:
                event = sending.BatchSettled.FromString(record.value)
                name = (event.campaign_id, partition, event.batch)
                known = self.settled.setdefault(name, event)
                assert (known.states, known.address_keys) == (event.states, event.address_keys), f"{name} has ended in two ways"
                if known is event:
                    self._take_note(name, event)
            self._read[partition] = len(log)

    def _take_note(self, name: BatchName, event: sending.BatchSettled) -> None:
        campaign, partition, _ = name
        again: list[int] = []
        for person, state in zip(self.batches[name], event.states, strict=True):
            if state == DEFERRED:
                again.append(person)
            else:
                assert (campaign, person) not in self.final
                self.final[campaign, person] = state
        if again and campaign in self.campaigns:
            self.begin(self._publish_batch(campaign, partition, again, event.attempt + 1))


async def until_it_is_back(ask: Callable[[], Awaitable[str]]) -> str:
    while True:
        try:
            return await ask()
        except BusUnavailable:
            await asyncio.sleep(0.2)
