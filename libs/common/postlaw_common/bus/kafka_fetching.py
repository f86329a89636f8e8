"""aiokafka's fetcher, mended: a fetch that is cancelled ends quietly wherever it stands, as its own callers take for granted.

In aiokafka 0.14 one that waits to be tried again (its broker is gone) does not. On `stop` its cancellation comes out as if the caller
had been cancelled, whose task then ends and nobody is told; on a new assignment it ends the loop that fetches, and the consumer
returns nothing any more. `mend` may be called as often as one likes.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka.consumer.fetcher import Fetcher

_METHOD = "_proc_fetch_request"  # (assignment, node id, request) -> whether to wake whoever waits for records
_MENDED = "postlaw_mended"


def mend() -> None:
    fetch = getattr(Fetcher, _METHOD)
    if hasattr(fetch, _MENDED):
        return

    async def fetch_quietly(self: Fetcher, assignment: Any, node_id: int, request: Any) -> bool:
        try:
            return await fetch(self, assignment, node_id, request)
        except asyncio.CancelledError:
            return False

    setattr(fetch_quietly, _MENDED, True)
    setattr(Fetcher, _METHOD, fetch_quietly)
