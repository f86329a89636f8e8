"""Calendars: ends of months, changes of the clocks, business days, public holidays by region."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postlaw_law.clocks import add_months, day_ends_us, instant, local_day, microseconds, nth_business_day, roll_forward
from postlaw_law.deadlines import Pausing, SubjectRequest, breach_due, one_click_honoured_by, subject_request_due
from postlaw_law.loading import the_law
from postlaw_law.public_holidays import holidays_around, public_holidays

DAYS = st.dates(date(1970, 1, 2), date(2200, 1, 1))
ZONES = [ZoneInfo(key) for key in ("UTC", "America/Toronto", "Africa/Cairo", "America/Havana", "Australia/Lord_Howe", "Pacific/Apia")]


@pytest.mark.parametrize(
    ("day", "months", "then"),
    [
        (date(2024, 2, 29), 24, date(2026, 2, 28)),
        (date(2024, 2, 29), 48, date(2028, 2, 29)),
        (date(2026, 2, 28), 24, date(2028, 2, 28)),
        (date(2026, 8, 31), 1, date(2026, 9, 30)),
        (date(2025, 8, 31), 6, date(2026, 2, 28)),
        (date(2026, 12, 15), 1, date(2027, 1, 15)),
    ],
)
def test_months_count_by_number_and_end_with_the_month(day: date, months: int, then: date) -> None:
    assert add_months(day, months) == then


@given(DAYS, st.integers(0, 60), st.integers(0, 60))
def test_more_months_never_end_earlier(day: date, fewer: int, more: int) -> None:
    assert add_months(day, fewer) <= add_months(day, fewer + more)


@given(DAYS, st.sampled_from(ZONES))
def test_a_day_ends_where_the_next_one_begins_whatever_the_clocks_do(day: date, zone: ZoneInfo) -> None:
    ends = day_ends_us(day, zone)
    assert local_day(ends, zone) > day
    assert local_day(ends - 1_000_000, zone) <= day


def test_where_the_clocks_skip_midnight_the_day_begins_an_hour_later() -> None:
    cairo = ZoneInfo("Africa/Cairo")  # 24 April 2026 begins at 01:00
    assert instant(day_ends_us(date(2026, 4, 23), cairo)).astimezone(cairo) == datetime(2026, 4, 24, 1, tzinfo=cairo)


def test_where_midnight_comes_twice_the_first_one_counts() -> None:
    havana = ZoneInfo("America/Havana")  # on 1 November 2026, 01:00 becomes 00:00
    assert instant(day_ends_us(date(2026, 10, 31), havana)) == datetime(2026, 11, 1, 4, tzinfo=UTC)


def test_a_time_without_a_zone_names_no_instant() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        microseconds(datetime.fromisoformat("2026-06-15T00:00:00"))


@given(st.integers(-(10**15), 10**16))
def test_an_instant_survives_as_microseconds(at_us: int) -> None:
    assert microseconds(instant(at_us)) == at_us


@given(DAYS, st.integers(0, 15), st.frozensets(DAYS, max_size=3), st.booleans())
def test_business_days_are_counted_one_by_one(start: date, n: int, holidays: frozenset[date], start_counts: bool) -> None:
    end = nth_business_day(start, n, holidays, start_counts=start_counts)
    first = start if start_counts else start + timedelta(days=1)
    days = [first + timedelta(days=k) for k in range((end - first).days + 1)]
    if n == 0:
        assert end == start
    else:
        assert sum(roll_forward(day, holidays) == day for day in days) == n
        assert roll_forward(end, holidays) == end


def test_hours_elapse_whatever_the_clocks_do_meanwhile() -> None:
    noon = datetime(2026, 3, 28, 12, tzinfo=ZoneInfo("Europe/Berlin"))  # the clocks go forward in the night
    assert breach_due(the_law(), "EU", noon) == datetime(2026, 3, 31, 11, tzinfo=UTC)
    assert one_click_honoured_by(the_law(), noon) == datetime(2026, 3, 30, 11, tzinfo=UTC)


def test_what_starts_or_stops_the_clock_of_one_law_does_nothing_to_that_of_the_other() -> None:
    fee_in_the_eu = SubjectRequest(date(2026, 6, 1), prerequisites=(("fee_paid", date(2026, 6, 19)),))
    assert subject_request_due(the_law(), "EU", fee_in_the_eu).day == date(2026, 7, 1)
    doubt = Pausing("identity", date(2026, 6, 2), date(2026, 6, 12), promptly=True)
    identity_in_the_uk = SubjectRequest(date(2026, 6, 1), "access", pausing=(doubt,))
    assert subject_request_due(the_law(), "UK", identity_in_the_uk).day == date(2026, 7, 1)


def test_canadas_holidays_are_the_interpretation_acts() -> None:
    kept = public_holidays("CA", 2026)
    assert {date(2026, 4, 6), date(2026, 9, 30), date(2026, 11, 11), date(2026, 5, 18)} <= kept  # Easter Monday, 30 September …
    assert not {date(2026, 12, 26), date(2026, 12, 28)} & kept  # Boxing Day
    assert len(kept) == 10


@pytest.mark.parametrize(
    ("region", "day", "kept"),
    [
        ("US", date(2026, 6, 19), True),
        ("DE", date(2026, 10, 3), True),
        ("DE-BY", date(2026, 1, 6), True),
        ("DE-BE", date(2026, 1, 6), False),
        ("AU-NSW", date(2026, 1, 26), True),
        ("GB-ENG", date(2026, 8, 31), True),
        ("GB-SCT", date(2026, 8, 31), False),
        ("IE", date(2026, 3, 17), True),
    ],
)
def test_a_region_keeps_its_own_holidays(region: str, day: date, kept: bool) -> None:
    assert (day in public_holidays(region, day.year)) == kept


def test_holidays_across_a_year_end_are_of_both_years() -> None:
    assert {date(2026, 12, 25), date(2027, 1, 1)} <= holidays_around("US", [date(2026, 12, 21)])


@pytest.mark.parametrize("region", ["ZZ", "DE-XX", ""])
def test_an_unknown_region_is_named(region: str) -> None:
    with pytest.raises(ValueError, match="ISO 3166"):
        public_holidays(region, 2026)
