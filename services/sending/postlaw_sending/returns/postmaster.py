"""What a provider without feedback loops shows of a sender's domain: how large a share of what it delivered its users called spam."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import date
from typing import Final, Protocol

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.errors import FieldError, Invalid
from postlaw_common.store import Collection, CollectionSpec, Document, Index
from postlaw_common.store.changing import put
from postlaw_sending.returns.days import forget_old, is_recent

POSTMASTER: Final = CollectionSpec("postmaster_rates", (Index("tenant_id"), Index("day")))
DAYS: Final = 7  # as long as a customer's campaigns count together


class SenderDomain(Protocol):
    @property
    def tenant_id(self) -> str: ...
    @property
    def domain(self) -> str: ...


class PostmasterRates:
    """`collection`: `postmaster_rates` of the database `sending`. `domains`: every customer's."""

    def __init__(
        self, collection: Callable[[], Collection], domains: Callable[[], AsyncIterator[SenderDomain]], now_us: Callable[[], int]
    ) -> None:
        self._open = collection
        self._domains = domains
        self._now_us = now_us

    async def take(self, provider: str, rates: Iterable[sending.ImportPostmasterRatesRequest.Rate]) -> tuple[int, set[str], set[str]]:
        """(how many were taken, whose they are, domains that are nobody's). Of a day the later figure counts; what is too old to count is
        left out. Raises Invalid, StoreUnavailable."""
        rates = list(rates)
        wrong = [FieldError(f"rates.{number}", said) for number, rate in enumerate(rates) if (said := _wrong(rate))]
        if wrong:
            raise Invalid("These are no figures of a provider's.", fields=wrong)
        wanted = {rate.domain.lower() for rate in rates}
        owners: dict[str, list[str]] = {}
        async for one in self._domains():
            if one.domain in wanted:
                owners.setdefault(one.domain, []).append(one.tenant_id)
        taken = 0
        for rate in rates:
            if is_recent(rate.date, self._now_us(), DAYS):
                for tenant_id in owners.get(rate.domain.lower(), ()):
                    await self._put(tenant_id, provider, rate)
                    taken += 1
        await forget_old(self._open(), "day", self._now_us(), DAYS)
        return taken, {tenant for tenants in owners.values() for tenant in tenants}, wanted - set(owners)

    async def of(self, tenant_id: str) -> Mapping[str, list[tuple[str, float, str]]]:
        """By provider: (day, rate, domain) of the last days."""
        found: dict[str, list[tuple[str, float, str]]] = {}
        async for page in self._open().scan("tenant_id", tenant_id):
            for one in page:
                if is_recent(one["day"], self._now_us(), DAYS):
                    found.setdefault(one["provider"], []).append((one["day"], one["rate"], one["domain"]))
        return found

    async def _put(self, tenant_id: str, provider: str, rate: sending.ImportPostmasterRatesRequest.Rate) -> None:
        domain = rate.domain.lower()
        id = f"{tenant_id}/{provider}/{domain}/{rate.date}"
        said: Document = {
            "_id": id,
            "tenant_id": tenant_id,
            "provider": provider,
            "domain": domain,
            "day": rate.date,
            "rate": rate.spam_rate,
        }
        await put(self._open(), said)


def _wrong(rate: sending.ImportPostmasterRatesRequest.Rate) -> str:
    try:
        if date.fromisoformat(rate.date).isoformat() != rate.date:
            return "the date is not written as 2026-11-20"
    except ValueError:
        return "the date is none"
    return "" if 0 <= rate.spam_rate <= 1 else "a rate lies between 0 and 1"
