"""What is old is removed again and again, also after an outage."""

from __future__ import annotations

import asyncio

from postlaw_common.store import StoreUnavailable
from postlaw_common.testing.patience import patience
from postlaw_sending.forgetting import forgetting


async def test_what_an_outage_left_is_removed_later() -> None:
    done: list[str] = []

    async def away_at_first() -> None:
        done.append("tried")
        if len(done) == 1:
            raise StoreUnavailable("away")

    async def other() -> None:
        done.append("other")

    background = forgetting("notes", away_at_first, other, every_s=0)
    running = asyncio.ensure_future(background.run())
    async with patience():
        while len(done) < 3:
            await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert background.name == "notes"
    assert done[:3] == ["tried", "tried", "other"]
