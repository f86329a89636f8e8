"""Backgrounds that remove what is old: nobody waits for them, and what an outage leaves is removed later."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from postlaw_common.consumers import OUTAGES
from postlaw_common.service import Background
from postlaw_common.telemetry import get_logger

EVERY_S: Final = 3600.0
_log = get_logger("sending.forgetting")


def forgetting(name: str, *forget: Callable[[], Awaitable[object]], every_s: float = EVERY_S) -> Background:
    """A background of that name. `forget`: each removes what is no longer needed, one after the other."""

    async def run() -> None:
        while True:
            try:
                for one in forget:
                    await one()
            except OUTAGES as away:
                _log.warning("what is old is kept a while longer", background=name, failure=type(away).__name__)
            await asyncio.sleep(every_s)

    return Background(name, run)
