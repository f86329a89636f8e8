"""Tokens of forms that were shown: they say that somebody opened the form first, a little while ago and not long ago.

That stops a program that posts without looking, one that fills a form in faster than a person reads, and one that replays what it kept.
It does not stop a program that behaves like a patient person: against that stand the limits on senders and on mails to one address.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable
from typing import Literal

from postlaw_common.keys.platform import FORM_TOKENS

SHOWN_US = 2_000_000  # nobody types an address faster
LIFE_US = 2 * 3600 * 1_000_000

Page = Literal["ours", "theirs"]
Judged = Literal["good", "early", "bad"]

_MAC_BYTES = 16


class FormTokens:
    """`key`: a platform key by its name. `page`: whether our own page shows the form, or the customer's."""

    def __init__(self, key: Callable[[str], Awaitable[bytes]], now_us: Callable[[], int]) -> None:
        self._key = key
        self._now_us = now_us

    async def mint(self, form_id: str, page: Page) -> str:
        """ASCII, as it goes into a hidden field."""
        shown = self._now_us().to_bytes(8, "big")
        return urlsafe_b64encode(shown + await self._mac(form_id, page, shown)).decode("ascii")

    async def judge(self, token: str, form_id: str, page: Page) -> Judged:
        """ "early": good, but so young that nobody can have read the form yet."""
        try:
            raw = urlsafe_b64decode(token.encode())
        except ValueError:
            return "bad"
        shown, mac = raw[:8], raw[8:]
        if not hmac.compare_digest(mac, await self._mac(form_id, page, shown)):
            return "bad"
        age = self._now_us() - int.from_bytes(shown, "big")
        if age > LIFE_US:
            return "bad"
        return "good" if age >= SHOWN_US else "early"

    async def _mac(self, form_id: str, page: Page, shown: bytes) -> bytes:
        message = f"{page}/{form_id}/".encode() + shown
        return hmac.digest(await self._key(FORM_TOKENS), message, hashlib.sha256)[:_MAC_BYTES]
