"""What is old is removed again and again, also after an outage."""

from __future__ import annotations

import asyncio

import pytest

from postlaw_common.store import StoreUnavailable
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
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await background.run()
    assert background.name == "notes"
    assert done[:3] == ["tried", "tried", "other"]
