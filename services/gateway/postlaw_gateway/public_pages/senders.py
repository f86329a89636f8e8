"""Customers' names and addresses for the unsubscribe page: nice to have, never waited for long. Without identity it says "this sender"."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from postlaw_common.caller import acting_as
from postlaw_common.errors import PostlawError
from postlaw_gateway.clients import Calls, method
from postlaw_gateway.wire import Sender, sender, tenant_request

_GET_TENANT = method("identity.GetTenant")
_KEPT = 10_000
_KEPT_S = 600.0
_UNKNOWN_KEPT_S = 15.0
_WAIT_S = 0.3


class Senders:
    def __init__(self, calls: Calls, monotonic: Callable[[], float]) -> None:
        self._calls = calls
        self._monotonic = monotonic
        self._known: OrderedDict[str, tuple[Sender, float]] = OrderedDict()

    async def get(self, tenant_id: str) -> Sender:
        """The customer; empty where it is not known, gone, or not to be had quickly."""
        now = self._monotonic()
        known = self._known.get(tenant_id)
        if known is not None and known[1] > now:
            return known[0]
        try:
            with acting_as(None):
                found = sender(await self._calls.unary(_GET_TENANT, tenant_request(tenant_id), timeout=_WAIT_S))
        except PostlawError:
            found = known[0] if known is not None else Sender()
        self._known[tenant_id] = (found, now + (_KEPT_S if found.name else _UNKNOWN_KEPT_S))
        if len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return found
