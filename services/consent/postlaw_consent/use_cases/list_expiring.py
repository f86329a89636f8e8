"""What a customer's implied consents will end, and when: so that people can be asked in time for a consent of their own."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from datetime import timedelta

from postlaw_common.errors import FieldError, Invalid
from postlaw_common.ordered_text import to_bytes
from postlaw_consent.expiries import Due, Expiries
from postlaw_law.clocks import instant

WITHIN = (30, 60, 90)  # days
MOST_DAYS = 366
PAGE = 100
LARGEST_PAGE = 500
_DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Ending:
    """`version`: the event's, within the person."""

    address_key: bytes
    version: int
    ends_us: int


@dataclass(slots=True)
class Expiring:
    """`within`: how many end within 30, 60 and 90 days. `page` in order of days; `following`: the next page's token, "" at the end."""

    within: dict[int, int] = field(default_factory=lambda: dict.fromkeys(WITHIN, 0))
    page: list[Ending] = field(default_factory=list[Ending])
    following: str = ""


class ListExpiring:
    def __init__(self, expiries: Expiries, now_us: Callable[[], int]) -> None:
        self._expiries = expiries
        self._now_us = now_us

    async def __call__(self, tenant_id: str, within_days: int, *, size: int, after: str) -> Expiring:
        """`within_days` 0: 90; `size` 0: the default. Raises Invalid."""
        days = within_days or WITHIN[-1]
        if not 0 < days <= MOST_DAYS:
            raise Invalid("That is too far ahead.", fields=[FieldError("within_days", f"must be from 1 to {MOST_DAYS}")])
        size = min(size, LARGEST_PAGE) if size > 0 else PAGE
        found, last = Expiring(), ""
        now = self._now_us()
        async for due, ends_us in self._ahead(tenant_id, max(days, WITHIN[-1]), now):
            for within in WITHIN:
                found.within[within] += ends_us <= now + within * _DAY_US
            place = f"{due.day.isoformat()}/{due.event}"
            if ends_us > now + days * _DAY_US or place <= after:
                continue
            if len(found.page) < size:
                found.page.append(Ending(to_bytes(due.event.split("/")[2]), due.version, ends_us))
                last = place
            else:
                found.following = last
        return found

    async def _ahead(self, tenant_id: str, days: int, now: int) -> AsyncGenerator[tuple[Due, int]]:
        """In the order of days, and of persons within a day."""
        today = instant(now).date()
        for ahead in range(days + 1):
            async for page in self._expiries.of_day(today + timedelta(days=ahead), tenant_id):
                for due in page:
                    if due.ends_us is not None and due.ends_us > now:
                        yield due, due.ends_us
