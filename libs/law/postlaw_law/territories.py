"""Territories and their time zones by name, as the tz database keeps them, so that neither list is ours to keep."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from zoneinfo import available_timezones


@cache
def territory_codes() -> frozenset[str]:
    """Every ISO 3166-1 alpha-2 code; GB, not UK. From tzdata's `iso3166.tab`, which follows the standard's newsletters."""
    table = (files("tzdata") / "zoneinfo" / "iso3166.tab").read_text(encoding="utf-8")
    return frozenset(line[:2] for line in table.splitlines() if not line.startswith("#"))


@cache
def time_zones() -> frozenset[str]:
    """Every IANA name that `zoneinfo.ZoneInfo` opens here."""
    return frozenset(available_timezones())
