"""Territories and time zones are the world's, not ours."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from postlaw_law.loading import the_law
from postlaw_law.territories import territory_codes, time_zones
from postlaw_law.words import STRICTEST


def test_every_territory_of_a_law_file_is_one_of_the_world() -> None:
    assert {territory for regime in the_law().regimes.values() for territory in regime.territories} - {STRICTEST} <= territory_codes()
    assert len(territory_codes()) == 249 and STRICTEST not in territory_codes()


def test_every_time_zone_named_can_be_opened() -> None:
    assert all(ZoneInfo(name).key == name for name in time_zones())
