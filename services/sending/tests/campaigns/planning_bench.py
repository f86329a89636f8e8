"""A planner on a bench: its store, its bus, its people, and a process that ends wherever a test says."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from postlaw.consent.v1 import consent_pb2 as consent
from postlaw.sending.v1 import sending_pb2 as sending
from postlaw.subscribers.v1 import subscribers_pb2 as subscribers
from postlaw_common.bus import Bus, Topic
from postlaw_common.bus.embedded import EmbeddedBus
from postlaw_common.crypto import open_sealed
from postlaw_common.store import Store
from postlaw_common.store.embedded import EmbeddedStore
from postlaw_sending.campaigns.clients import Consent, Decisions, Page, Subscribers
from postlaw_sending.campaigns.domain.campaign import Campaign, Sender, Status, Template
from postlaw_sending.campaigns.domain.recipients import Settled, State
from postlaw_sending.campaigns.domain.ruling import Ruling
from postlaw_sending.campaigns.domain.schedule import reached_us
from postlaw_sending.campaigns.kept_back import KEPT_BACK, KeptBack
from postlaw_sending.campaigns.led import Led
from postlaw_sending.campaigns.outcomes import BATCHES, TOTALS, Outcomes, Read
from postlaw_sending.campaigns.paces import PACES, Paces
from postlaw_sending.campaigns.planning import Planning
from postlaw_sending.campaigns.plans import PLANS, Plans
from postlaw_sending.campaigns.retries import RETRIES, Retries
from postlaw_sending.campaigns.sealing import place
from postlaw_sending.campaigns.wire import JOBS, Gate

KEY = bytes(32)
CAMPAIGN = Campaign(
    campaign_id="cmp_1",
    tenant_id="ten_1",
    name="June",
    list_id="lst_1",
    list_name="Weekly",
    sender=Sender("Shop", "news@shop.example", "1 Main St"),
    template=Template("s", "", "t"),
    status=Status.SENDING,
    launched_by=("api_key", "key_1"),
)
AUDIENCE = 2_530  # two groups, the last page not full
NOON_IN_BERLIN = reached_us("2026-12-01T12:00", "Europe/Berlin", "")
WAITED = range(10_000, 10_150)  # were put off once, and are due


class Killed(Exception):
    """The process ended here."""


class Mortality:
    """Ends the process at the `at`-th place where it could."""

    def __init__(self, at: int) -> None:
        self._left = at

    @property
    def struck(self) -> bool:
        return self._left <= 0

    def here(self) -> None:
        self._left -= 1
        if self._left == 0:
            raise Killed

    def around(self, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """May end right before and right after."""

        async def mortal(*args: Any, **kwargs: Any) -> Any:
            self.here()
            result = await method(*args, **kwargs)
            self.here()
            return result

        return mortal

    def in_the_middle(self, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """May also end when only the first few of several records are out."""

        async def mortal(records: Sequence[Any]) -> Any:
            self.here()
            self._left -= 1
            if self._left == 0:
                await method(records[: len(records) // 2])
                raise Killed
            result = await method(records)
            self.here()
            return result

        return mortal


def key_of(number: int) -> bytes:
    return b"\x01" + number.to_bytes(32, "big")


class People(Subscribers):
    def __init__(self) -> None:
        self.gone: set[int] = set()
        self.count = AUDIENCE

    async def audience(self, list_id: str, partition: int, after: bytes) -> AsyncIterator[Page]:
        keys = [key_of(number) for number in range(self.count) if key_of(number) > after and number not in self.gone]
        for start in range(0, len(keys), 200):
            people = subscribers.AudiencePeople(members=map(self._member, keys[start : start + 200]))
            yield Page(keys[start : start + 200], people.SerializeToString())

    async def people(self, address_keys: Sequence[bytes]) -> dict[bytes, bytes]:
        there = [key for key in address_keys if int.from_bytes(key[1:], "big") not in self.gone]
        return {key: self._member(key).SerializeToString() for key in there}

    @staticmethod
    def _member(key: bytes) -> subscribers.AudienceMember:
        number = int.from_bytes(key[1:], "big")
        zone = {"time_zone": "America/Los_Angeles"} if number % 3 == 0 else {}
        return subscribers.AudienceMember(address_key=key, subscriber_id=f"sub_{number}", address=f"p{number}@example.com", fields=zone)


class Law(Consent):
    def __init__(self) -> None:
        pass

    async def decide(self, campaign: Campaign, partition: int, address_keys: Sequence[bytes]) -> Decisions:
        gate = Gate(3, "law-1", 1, 1 << 60, "gen", b"inputs")
        return Decisions([consent.Decision(allow=True, opt_out_token=b"t") for _ in address_keys], [Ruling(())], gate)


async def nobody_held(tenant_id: str) -> frozenset[str]:
    return frozenset()


async def nobody_had_enough(campaign: Campaign, address_keys: Sequence[bytes]) -> set[bytes]:
    return set()


async def never_asked(tenant_id: str, days: int, address_keys: Sequence[bytes]) -> set[bytes]:
    raise AssertionError("the campaign leaves nobody out for being silent")


class Bench:
    """Store, bus, and a new planner as often as the last one is killed."""

    def __init__(self, bus: Bus, store: Store) -> None:
        self.bus = bus
        self.store = store
        self.people = People()
        self.now_us = NOON_IN_BERLIN
        self.outcomes = Outcomes(*(lambda name=spec.name: store.collection(name) for spec in (BATCHES, TOTALS, RETRIES)))

    def planning(
        self, mortality: Mortality, publish: Callable[..., Awaitable[Any]] | None = None, put: Callable[..., Awaitable[Any]] | None = None
    ) -> Planning:
        bus = cast("Any", _Wrapped(self.bus, publish=publish or mortality.in_the_middle(self.bus.publish)))
        plans, retries = self.plans, Retries(lambda: self.store.collection(RETRIES.name), lambda: self.store.collection(BATCHES.name))
        kept = KeptBack(lambda: self.store.collection(KEPT_BACK.name))
        return Planning(
            bus,
            cast("Any", _Wrapped(plans, replace=mortality.around(plans.replace))),
            cast("Any", _Wrapped(retries, remove=mortality.around(retries.remove))),
            cast("Any", _Wrapped(kept, put=put or mortality.around(kept.put), taken=mortality.around(kept.taken))),
            Paces(lambda: self.store.collection(PACES.name)),
            self.people,
            Law(),
            nobody_had_enough,
            never_asked,
            nobody_held,
            lambda: self.now_us,
        )

    @property
    def plans(self) -> Plans:
        return Plans(lambda: self.store.collection(PLANS.name))

    async def plan_to_the_end(self, mortality: Mortality, led: Led | None = None) -> None:
        led = led or Led(CAMPAIGN, KEY, anybody_waits=True)
        planning = self.planning(mortality)
        while await planning.turn(led, 0, 100, await self.jobs_end()):
            pass

    async def jobs_end(self) -> int:
        client = await self.bus.end_offset_client()
        try:
            return (await client.end_offsets([(JOBS, 0)]))[JOBS, 0]
        finally:
            await client.close()

    async def first_copies(self) -> list[tuple[sending.SealedBatch, list[sending.JobRecipient]]]:
        """What a worker takes: of each number the first copy, in order. Every copy must open and name the same people."""
        taken: list[tuple[sending.SealedBatch, list[sending.JobRecipient]]] = []
        for record in await self.bus.read_range(JOBS, 0, 0, 10_000):
            sealed = sending.SealedBatch.FromString(record.value)
            aad = place(sealed.campaign_id, 0, sealed.batch, sealed.attempt)
            people = list(sending.JobBatch.FromString(open_sealed(KEY, sealed.sealed, aad)).recipients)
            assert sealed.batch <= len(taken), "a gap in the batch numbers"
            if sealed.batch == len(taken):
                taken.append((sealed, people))
            else:
                assert [person.address_key for person in people] == [person.address_key for person in taken[sealed.batch][1]]
        return taken


class _Wrapped:
    def __init__(self, target: object, **replaced: Any) -> None:
        self._target = target
        self.__dict__.update(replaced)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)


@asynccontextmanager
async def bench(directory: Path) -> AsyncGenerator[Bench]:
    bus, store = EmbeddedBus(str(directory), partitions=1), EmbeddedStore(str(directory), "sending")
    await bus.start()
    await bus.ensure_topics([Topic(JOBS)])
    await store.start([PLANS, RETRIES, KEPT_BACK, PACES, BATCHES, TOTALS])
    made = Bench(bus, store)
    await made.outcomes.apply([Read(0, b"", put_off(WAITED))])
    try:
        yield made
    finally:
        await store.close()
        await bus.close()


def put_off(numbers: Sequence[int], batch: int = 900) -> Settled:
    """A batch whose people the next server put off."""
    size = len(numbers)
    return Settled(
        tenant_id="ten_1",
        campaign_id="cmp_1",
        partition=0,
        batch=batch,
        attempt=0,
        started_at_us=1,
        states=bytes([State.DEFERRED]) * size,
        address_keys=[key_of(number) for number in numbers],
        subscriber_ids=[f"sub_{number}" for number in numbers],
        reasons=["450 later"] * size,
        handed_over_after_us=[0] * size,
    )
