"""Documents with the day from which on they no longer count, in a field `day`, so that old ones are found and dropped."""

from __future__ import annotations

from contextlib import suppress

from postlaw_common.store import Collection, VersionConflict

DAY_US = 24 * 3600 * 1_000_000
_STAY = 2  # days: what counts for 24 hours from any time of its day
_LOOKED_BACK = 7  # days, in case nobody came by


def day_of(us: int) -> str:
    """The number of a day since the epoch, in UTC. `us`: microseconds since the epoch."""
    return str(us // DAY_US)


async def forget_old(collection: Collection, now_us: int) -> None:
    """Drops those of the day before yesterday, and of some days before it. What is changed meanwhile stays: it may have a later day."""
    for days in range(_STAY, _STAY + _LOOKED_BACK):
        for document in await collection.find("day", day_of(now_us - days * DAY_US)):
            with suppress(VersionConflict):
                await collection.delete(document["_id"], version=document["v"])
