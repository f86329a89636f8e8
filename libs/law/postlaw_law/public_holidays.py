"""Public holidays by region: the one module that knows the library (ADR 16)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from functools import cache

import holidays

from postlaw_law.clocks import DAY

CANADA = "CA"


@cache
def public_holidays(region: str, year: int) -> frozenset[date]:
    """`region`: ISO 3166-1, or ISO 3166-2 for a part of a country: DE, DE-BE, AU-NSW. Canada as a whole is the Interpretation Act's
    list (s.35), not what its employers keep. ValueError for a region that the library does not know."""
    country, _, part = region.partition("-")
    try:
        found = holidays.country_holidays(country, subdiv=part or None, years=year)
        if region == CANADA:
            return _interpretation_act(year)
    except NotImplementedError as unknown:
        raise ValueError(f"no public holidays are known for {region!r}; give an ISO 3166 code, such as DE or AU-NSW") from unknown
    return frozenset(found)


def holidays_around(region: str, days: Iterable[date]) -> frozenset[date]:
    """Of every year that these days touch, and the next."""
    years = {year for day in days for year in (day.year, day.year + 1)}
    return frozenset[date]().union(*(public_holidays(region, year) for year in years))


def _interpretation_act(year: int) -> frozenset[date]:
    """Easter Monday is in the Act and not in the library's list of what the federal government keeps; Boxing Day the other way round."""
    kept = holidays.country_holidays(CANADA, years=year, categories=("government",), language="en_CA")
    named = {day: name for day, name in kept.items() if "Boxing" not in name}
    easter_mondays = {day + 3 * DAY for day, name in named.items() if name == "Good Friday"}
    return frozenset(named) | easter_mondays
