"""One message to one webhook, over HTTPS, to an address that was looked at."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from postlaw_common.http_client import httpx
from postlaw_common.telemetry import get_logger
from postlaw_sending.webhooks.deliveries import Answer
from postlaw_sending.webhooks.destination import NotAllowed, Resolve, place_of
from postlaw_sending.webhooks.domain import Webhook
from postlaw_sending.webhooks.endpoints import Webhooks
from postlaw_sending.webhooks.signing import headers

_TIMEOUT = httpx.Timeout(10.0, connect=5.0)
_WITHIN_S = 20.0  # all of it: an answer may come byte by byte
_GONE = 410  # RFC 9110 §15.5.11: it does not want to hear of us any more
_log = get_logger("sending.webhooks")


class Posting:
    """`private`: also to our own network (development)."""

    def __init__(
        self, webhooks: Webhooks, resolve: Resolve, *, private: bool, within_s: float = _WITHIN_S, now: Callable[[], float] = time.time
    ) -> None:
        self._webhooks = webhooks
        self._private = private
        self._within_s = within_s
        self._resolve = resolve
        self._now = now

    async def __call__(self, webhook: Webhook, event_id: str, body: bytes) -> Answer:
        """Any 2xx is taken; a redirect is not followed, since nobody looked at where it leads. What is answered is not read.

        Raises KeysUnavailable, StoreUnavailable, SealBroken."""
        keys = await self._webhooks.keys(webhook)
        try:
            async with asyncio.timeout(self._within_s):
                place = await place_of(webhook.url, self._resolve, private=self._private)
                said = {"host": place.host, "content-type": "application/json", "user-agent": "Postlaw-Webhooks/1"}
                said.update(headers(event_id, int(self._now()), body, keys))
                # A connection of its own, never the environment's proxy: it would resolve the name once more.
                async with (
                    httpx.AsyncClient(timeout=_TIMEOUT, trust_env=False, follow_redirects=False) as http,
                    http.stream("POST", place.url, content=body, headers=said, extensions={"sni_hostname": place.name}) as answer,
                ):
                    if answer.is_success:
                        return "taken"
                    status = answer.status_code
        except (NotAllowed, httpx.HTTPError, httpx.InvalidURL, TimeoutError) as failed:
            _log.info("a webhook did not take its message", webhook=webhook.id, failure=type(failed).__name__)
            return "not-taken"
        _log.info("a webhook did not take its message", webhook=webhook.id, status=status)
        return "gone" if status == _GONE else "not-taken"
