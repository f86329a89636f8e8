"""What counts as a person's sign, and of whom nothing is kept."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from postlaw.consent.v1 import consent_pb2 as consent
from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.bus import Received
from postlaw_common.store import open_store
from postlaw_common.testing.promises import promise
from postlaw_sending.campaigns.wire import timestamp
from postlaw_sending.messages.return_path import PERSON
from postlaw_sending.silence.domain import DAY_US, wrong_rule
from postlaw_sending.silence.hearing import hearing
from postlaw_sending.silence.last_signals import LAST_SIGNALS, LastSignals
from postlaw_sending.stop.wire import CONSENT_EVENTS
from postlaw_sending.tracking.domain import Tracking
from postlaw_sending.tracking.wire import TRACKING

E = consent.ConsentEvent
TENANT = "ten_1"
ANN, BEN = b"\x01" + b"a" * 32, b"\x01" + b"b" * 32
NOW_US = 1_800_000_000_000_000  # January 2027


class World:
    """`days`: since Ann and Ben were first met."""

    def __init__(self) -> None:
        self.days = 0

    def now_us(self) -> int:
        return NOW_US + self.days * DAY_US


@asynccontextmanager
async def met(state: Path) -> AsyncGenerator[tuple[World, LastSignals]]:
    """Where a campaign of a rule of 30 days has met both."""
    store = open_store("sqlite:", "sending", state=str(state))
    await store.start([LAST_SIGNALS])
    world = World()
    signals = LastSignals(lambda: store.collection(LAST_SIGNALS.name), world.now_us)
    assert await silent(signals) == set()
    yield world, signals
    await store.close()


async def silent(signals: LastSignals, days: int = 30, tenant_id: str = TENANT) -> set[bytes]:
    return await signals.long_silent(tenant_id, days, [ANN, BEN])


def event(world: World, kind: E.Kind.ValueType, source: str = "preference centre", actor: str = "person:61", who: bytes = ANN) -> Received:
    said = E(tenant_id=TENANT, address_key=who, kind=kind, source=source, recorded_at=timestamp(world.now_us()))
    return Received(CONSENT_EVENTS, 0, 0, said.SerializeToString(), None, {"ce_actor": actor.encode()}, 0)


def hit(world: World, machine: str = "", tenant_id: str = TENANT) -> Received:
    at = timestamp(world.now_us())
    said = sending.HitsRecorded(tenant_id=tenant_id)
    said.hits.add(kind=sending.Hit.KIND_OPEN, address_key=ANN, machine=machine, at=at)
    said.hits.add(kind=sending.Hit.KIND_CLICK, at=at)  # nobody's
    return Received(TRACKING, 0, 0, said.SerializeToString(), None, {"ce_actor": b"service:sending"}, 0)


@pytest.mark.parametrize(
    ("counts", "kind", "source", "actor"),
    [
        (True, E.KIND_GIVEN, "preference centre", "person:61"),
        (True, E.KIND_RESUMED, "preference centre", "person:61"),
        (True, E.KIND_CONFIRMED, "form frm_1", "person:61"),
        (False, E.KIND_REQUESTED, "form frm_1", "person:61"),  # anybody may have typed the address
        (False, E.KIND_GIVEN, "form frm_1", "person:61"),
        (False, E.KIND_GIVEN, "import", "api_key:key_1"),
        (False, E.KIND_RENEWED, "", "user:usr_1"),
        (False, E.KIND_BOUNCED, "", "service:sending"),
    ],
)
@promise("M9")
async def test_an_act_of_the_persons_own_on_a_page_is_a_sign_and_nobody_elses(
    counts: bool, kind: E.Kind.ValueType, source: str, actor: str, tmp_path: Path
) -> None:
    async with met(tmp_path) as (world, signals):
        world.days = 20
        await hearing(signals)([event(world, kind, source, actor)])
        world.days = 45
        assert await silent(signals) == ({BEN} if counts else {ANN, BEN})


@promise("M9")
async def test_an_open_is_a_sign_for_that_customer_and_a_machines_is_none(tmp_path: Path) -> None:
    async with met(tmp_path) as (world, signals):
        world.days = 20
        await hearing(signals)([hit(world, "image-proxy"), hit(world, tenant_id="ten_2")])
        world.days = 32
        assert await silent(signals) == {ANN, BEN}
        await hearing(signals)([hit(world)])
        assert await silent(signals) == {BEN}
        world.days = 20
        await hearing(signals)([hit(world)])
        world.days = 60
        assert await silent(signals) == {BEN}, "what is read again later moves nothing back"
        assert await silent(signals, 60) == set()
        assert await silent(signals, tenant_id="ten_2") == set(), "another customer has never met them"


async def test_an_answer_is_a_sign_though_it_names_the_beginning_of_the_persons_key_alone(tmp_path: Path) -> None:
    async with met(tmp_path) as (world, signals):
        world.days = 20
        await signals.heard({(TENANT, ANN[:PERSON]): world.now_us()})
        world.days = 45
        assert await silent(signals) == {BEN}


@pytest.mark.parametrize("actor", ["person:61", "api_key:key_1"])
@pytest.mark.parametrize("kind", [E.KIND_ERASED, E.KIND_TRACKING_WITHDRAWN, E.KIND_WITHDRAWN, E.KIND_PAUSED, E.KIND_EXPIRED])
@promise("M9")
async def test_of_who_cannot_give_a_sign_any_more_nothing_is_kept_and_silence_begins_anew(
    kind: E.Kind.ValueType, actor: str, tmp_path: Path
) -> None:
    async with met(tmp_path) as (world, signals):
        world.days = 20
        await hearing(signals)([event(world, E.KIND_GIVEN, "import", "api_key:key_1", BEN), event(world, kind, actor=actor)])
        world.days = 45
        assert await silent(signals) == {BEN}
        world.days = 77
        assert await silent(signals) == {ANN, BEN}


async def test_who_is_left_out_stays_so_while_campaigns_meet_them_and_is_forgotten_after_four_years_else(tmp_path: Path) -> None:
    async with met(tmp_path) as (world, signals):
        world.days = 4 * 366
        await signals.forget_old()
        assert await signals.long_silent(TENANT, 1_095, [ANN]) == {ANN}
        world.days = 5 * 366
        await signals.forget_old()
        assert await silent(signals) == {ANN}, "Ben was forgotten, and is met anew"


def test_a_rule_belongs_to_marketing_that_tracks() -> None:
    assert not wrong_rule(0, Tracking(), marketing=False)
    assert not wrong_rule(30, Tracking(opens=True), marketing=True)
    [said] = wrong_rule(30, Tracking(opens=True), marketing=False).values()
    assert said.startswith("belongs to marketing alone")
