"""Whoever runs the installation stops an address for every customer, or takes that back.

It is kept first, under the platform's own key; then each customer who has the person stops them through the stop. Whoever makes the
person meanwhile, or ever after, at any customer, writes them first and looks here then (meet_suppressions.py): whichever comes second sees
the other.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from typing import Literal

from postlaw_common.caller import Actor
from postlaw_common.errors import PostlawError
from postlaw_common.telemetry import get_logger
from postlaw_subscribers.everywhere import Suppressed, name_of
from postlaw_subscribers.people import is_gone
from postlaw_subscribers.rooms import INDEX, Rooms, normalised_address

_TOGETHER = 20  # customers gone through at the same time

Outcome = Literal["stopped", "recorded", "lifted", "nothing", "failed"]

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """Customers gone through; of these, where the person's mail has stopped, where that is recorded, where it was lifted, and where it
    could not be carried out."""

    customers: int = 0
    stopped: int = 0
    recorded: int = 0
    lifted: int = 0
    failed: int = 0
    done: bool = False


async def suppress_everywhere(rooms: Rooms, address: str, reason: str, by: Actor, *, lift: bool) -> AsyncGenerator[Progress]:
    """Raises Invalid (the address), StoreUnavailable: what was kept then stays, and asking again is safe."""
    normalised = normalised_address(address)
    name = name_of(await rooms.everywhere.index(), normalised)
    if lift:
        await rooms.everywhere.remove(name)
    else:
        await rooms.everywhere.put(name, Suppressed(reason, by, rooms.now_us()))
    counts: Counter[str] = Counter()
    async for page in rooms.customer_keys.customers(INDEX):
        for start in range(0, len(page), _TOGETHER):
            some = page[start : start + _TOGETHER]
            outcomes = await asyncio.gather(*(_at_one(rooms, tenant_id, normalised, reason, by, lift=lift) for tenant_id in some))
            counts.update(outcomes)
            yield _progress(counts)
    yield replace(_progress(counts), done=True)


def _progress(counts: Counter[str]) -> Progress:
    return Progress(counts.total(), counts["stopped"], counts["recorded"], counts["lifted"], counts["failed"])


async def _at_one(rooms: Rooms, tenant_id: str, address: str, reason: str, by: Actor, *, lift: bool) -> Outcome:
    try:
        address_key = (await rooms.index(tenant_id)).key_of(address)
        if lift:
            return "lifted" if await rooms.platform_stop.lift(tenant_id, address_key, reason, by) else "nothing"
        document = await rooms.people.by_key(tenant_id, address_key)
        if document is None or is_gone(document):
            return "nothing"
        return "stopped" if await rooms.platform_stop.stop(tenant_id, address_key, reason, by) else "recorded"
    except PostlawError as failure:  # the other customers' people are not to wait for this one's
        _log.error("a stop for every customer could not be carried out at one", tenant_id=tenant_id, failure=type(failure).__name__)
        return "failed"
