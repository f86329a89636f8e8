"""Batches opened for the worker, their messages signed where their sender's domain has keys. What has none goes as it went before."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.crypto import SealBroken
from postlaw_common.errors import Unavailable
from postlaw_common.keys import KeysUnavailable
from postlaw_common.store import StoreUnavailable
from postlaw_common.telemetry import get_logger
from postlaw_sending.delivery.seven_bit import seven_bit
from postlaw_sending.domains.dkim_keys import DkimKeys
from postlaw_sending.domains.sender_domains import SenderDomains
from postlaw_sending.messages.dkim import DkimKey, signed
from postlaw_sending.worker.live_batch import Compiled, Recipient

KEPT_S = 60.0  # a new key is used within this time; the one before it stays published for seven days
_KEPT = 1024  # domains
log = get_logger("sending.signing")


class FromDomain(Compiled, Protocol):
    @property
    def sender_domain(self) -> str: ...


class OpenBatch(Protocol):
    @property
    def recipients(self) -> Sequence[Recipient]: ...
    @property
    def compiled(self) -> FromDomain: ...


Open = Callable[[sending.SealedBatch, int], Awaitable[OpenBatch]]


class SignedMessages:
    """As the compiled campaign, signed."""

    def __init__(self, compiled: FromDomain, keys: Sequence[DkimKey]) -> None:
        self._compiled = compiled
        self._keys = keys
        self.sender_domain = compiled.sender_domain
        self.envelope_from = compiled.envelope_from

    def render(self, recipient: Recipient) -> bytes:
        """Raises RenderFailed."""
        # Whoever passes it on may have to make it so (RFC 6376 §5.3), and would break the signature.
        return signed(seven_bit(self._compiled.render(recipient)), self._keys, time.time)


@dataclass(frozen=True, slots=True)
class SignedBatch:
    recipients: Sequence[Recipient]
    compiled: SignedMessages


class Signers:
    """The keys of a customer's domain, kept for a minute. `monotonic`: seconds."""

    def __init__(self, domains: SenderDomains, keys: DkimKeys, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._domains = domains
        self._keys = keys
        self._monotonic = monotonic
        self._known: dict[tuple[str, str], tuple[float, asyncio.Future[list[DkimKey]]]] = {}

    async def of(self, tenant_id: str, domain: str) -> list[DkimKey]:
        """Empty where the domain is not registered, or its keys are not published. Raises Unavailable."""
        place = (tenant_id, domain)
        known = self._known.get(place)
        if known is None or self._monotonic() - known[0] >= KEPT_S:
            # Batches open on many partitions at once: all wait for the first one's work.
            known = self._known[place] = self._monotonic(), asyncio.ensure_future(self._load(tenant_id, domain))
            while len(self._known) > _KEPT:
                self._known.pop(next(iter(self._known)))
        try:
            return await asyncio.shield(known[1])
        except (StoreUnavailable, KeysUnavailable, SealBroken, KeyError) as away:
            if self._known.get(place) is known:
                del self._known[place]
            if isinstance(away, SealBroken | KeyError):  # held back rather than sent without its signature
                log.alert("a DKIM key does not open: it was changed or moved, or the customer's key is gone", domain=domain)
            raise Unavailable("The sender's DKIM keys cannot be read now. Try again.") from away

    async def _load(self, tenant_id: str, domain: str) -> list[DkimKey]:
        found = await self._domains.find(tenant_id, domain)
        return [await self._keys.opened(tenant_id, domain, key) for key in found.signing] if found else []

    def opener(self, open_batch: Open) -> Open:
        """Opens as `open_batch` does, and raises as it does."""

        async def opened(sealed: sending.SealedBatch, partition: int) -> OpenBatch:
            batch = await open_batch(sealed, partition)
            keys = await self.of(sealed.tenant_id, batch.compiled.sender_domain)
            return SignedBatch(batch.recipients, SignedMessages(batch.compiled, keys)) if keys else batch

        return opened
