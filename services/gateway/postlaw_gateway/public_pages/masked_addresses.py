"""Whose link it is, as far as whoever holds the link may see it: asked of subscribers, never waited for long."""

from __future__ import annotations

from postlaw_common.caller import acting_as
from postlaw_common.errors import PostlawError
from postlaw_gateway.clients import Calls, method
from postlaw_gateway.wire import Link, masked_address, masked_address_request

_GET_MASKED_ADDRESS = method("subscribers.GetMaskedAddress")
_WAIT_S = 0.3


async def get_masked_address(calls: Calls, link: Link) -> str:
    """j•••@e•••.com; empty where the person is not known, erased, or not to be had quickly."""
    try:
        with acting_as(None):
            return masked_address(await calls.unary(_GET_MASKED_ADDRESS, masked_address_request(link), timeout=_WAIT_S))
    except PostlawError:
        return ""
