"""How long a test waits for what must come: long enough for a machine that is slow and busy. On an idle one it is there at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

PATIENCE_S: Final = 60.0


def patience() -> asyncio.Timeout:
    """`async with patience():` fails what never comes. How fast it comes is asked by benchmarks, not here."""
    return asyncio.timeout(PATIENCE_S)


async def until(holds: Callable[[], Awaitable[bool]], every_s: float = 0.01) -> None:
    """Returns once it holds. Raises TimeoutError."""
    async with patience():
        while not await holds():  # noqa: ASYNC110 - what is waited for is often another process's, which sets no event here
            await asyncio.sleep(every_s)
