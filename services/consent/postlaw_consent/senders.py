"""Where customers stand in the law, as identity tells: asked once a minute at most, and kept while identity is away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from postlaw_common.errors import NotFound, PostlawError
from postlaw_common.telemetry import get_logger
from postlaw_consent.domain.message import UNKNOWN_SENDER, Sender

FRESH_S = 60.0
_KEPT = 10_000

_log = get_logger(__name__)


class Senders:
    """`ask`: identity's answer for a tenant; raises PostlawError."""

    def __init__(self, ask: Callable[[str], Awaitable[Sender]], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._monotonic = monotonic
        self._known: dict[str, tuple[Sender, float]] = {}
        self._asking: dict[str, asyncio.Lock] = {}

    async def get(self, tenant_id: str) -> Sender:
        """Of a customer that identity does not know, the strictest law's. Raises PostlawError where identity was never reached."""
        known = self._known.get(tenant_id)
        if known is not None and self._monotonic() - known[1] < FRESH_S:
            return known[0]
        async with self._asking.setdefault(tenant_id, asyncio.Lock()):
            known = self._known.get(tenant_id)
            if known is not None and self._monotonic() - known[1] < FRESH_S:
                return known[0]
            if len(self._known) > _KEPT:
                self._known.clear()
                self._asking.clear()
            sender = await self._asked(tenant_id, known[0] if known else None)
            self._known[tenant_id] = (sender, self._monotonic())
            return sender

    async def _asked(self, tenant_id: str, known: Sender | None) -> Sender:
        try:
            return await self._ask(tenant_id)
        except NotFound:
            return UNKNOWN_SENDER
        except PostlawError as failure:
            if known is None:
                raise
            _log.warning("identity cannot be asked where a customer stands; what it said last is kept", failure=type(failure).__name__)
            return known
