"""Hits on their way to the bus: what fills the memory, or is wrong with one campaign, ends neither the process nor the others' counts."""

from __future__ import annotations

from typing import Any, cast

import pytest

from postlaw_common.bus import BusUnavailable, Record
from postlaw_sending.campaigns.domain.campaign import Campaign, Sender, Template
from postlaw_sending.tracking import recording
from postlaw_sending.tracking.recording import QUIET_US, Hit, Recording


class FakeBus:
    partitions = 4

    def __init__(self) -> None:
        self.told: list[Record] = []
        self.away = False

    async def publish(self, records: list[Record]) -> None:
        if self.away:
            raise BusUnavailable("The test has taken it away.")
        self.told += records


async def campaign(id: str) -> Campaign | None:
    if id == "cmp_broken":
        raise ValueError("what is stored of it cannot be read")
    return Campaign(id, "ten_1", "June", "lst_1", "News", Sender("Shop", "news@shop.example", "1 Main St"), Template("", "", ""))


def recording_to(bus: FakeBus) -> Recording:
    return Recording(campaign, cast("Any", None), cast("Any", None), lambda tenant, key: 0, cast("Any", bus), lambda: 0)


def hit(campaign_id: str = "cmp_1", person: bytes = b"") -> Hit:
    return Hit(campaign_id, "click", 0, person, 0, "")


async def test_who_comes_when_the_memory_is_full_is_dropped_and_nothing_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "KEPT", 1)
    bus = FakeBus()
    recorded = recording_to(bus)
    recorded.take(hit())
    recorded.take(hit("cmp_2"))
    await recorded.flush(QUIET_US)
    recorded.take(hit("cmp_2"))
    await recorded.flush(QUIET_US)
    assert len(bus.told) == 2


async def test_what_a_bus_that_is_away_has_not_taken_counts_as_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "KEPT", 2)
    bus = FakeBus()
    recorded = recording_to(bus)
    bus.away = True
    for number in range(5):
        recorded.take(hit(f"cmp_{number}"))
        with pytest.raises(BusUnavailable):
            await recorded.flush(QUIET_US)
    bus.away = False
    await recorded.flush(QUIET_US)
    assert len(bus.told) == 2


async def test_what_is_wrong_with_one_campaign_keeps_no_other_from_being_recorded() -> None:
    bus = FakeBus()
    recorded = recording_to(bus)
    recorded.take(hit("cmp_broken"))
    recorded.take(hit("cmp_1"))
    await recorded.flush(QUIET_US)
    assert len(bus.told) == 1
