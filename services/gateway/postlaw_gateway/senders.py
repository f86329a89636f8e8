"""Customers' names for the unsubscribe page: nice to have, never waited for. Identity may be down; the page then says "this sender"."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from postlaw_common.caller import acting_as
from postlaw_common.errors import PostlawError
from postlaw_gateway.clients import Calls, method
from postlaw_gateway.wire import tenant_name, tenant_request

_GET_TENANT = method("identity.GetTenant")
_KEPT = 10_000
_KEPT_S = 600.0
_UNKNOWN_KEPT_S = 15.0
_WAIT_S = 0.3


class Senders:
    def __init__(self, calls: Calls, monotonic: Callable[[], float]) -> None:
        self._calls = calls
        self._monotonic = monotonic
        self._names: OrderedDict[str, tuple[str, float]] = OrderedDict()

    async def name(self, tenant_id: str) -> str:
        """The customer's name; empty where it is not known, gone, or not to be had quickly."""
        now = self._monotonic()
        known = self._names.get(tenant_id)
        if known is not None and known[1] > now:
            return known[0]
        try:
            with acting_as(None):
                name = tenant_name(await self._calls.unary(_GET_TENANT, tenant_request(tenant_id), timeout=_WAIT_S))
        except PostlawError:
            name = known[0] if known is not None else ""
        self._names[tenant_id] = (name, now + (_KEPT_S if name else _UNKNOWN_KEPT_S))
        if len(self._names) > _KEPT:
            self._names.popitem(last=False)
        return name
