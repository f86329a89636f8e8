"""Bounces that are held back, for whoever is on call (gRPC ListHeldReturns, ReleaseHeldReturns)."""

from __future__ import annotations

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_sending.returns.providers import Providers
from postlaw_sending.returns.received import Received


class HeldReturns:
    def __init__(self, received: Received, providers: Providers) -> None:
        self._received = received
        self._providers = providers

    async def list(self) -> sending.ListHeldReturnsResponse:
        """Raises StoreUnavailable."""
        return sending.ListHeldReturnsResponse(
            held=[
                sending.HeldReturns(provider=provider, mails=await self._received.held(provider))
                for provider in await self._providers.holding()
            ]
        )

    async def release(self, request: sending.ReleaseHeldReturnsRequest) -> sending.ReleaseHeldReturnsResponse:
        """The provider first, so that nothing is held after the mails were let go. Raises StoreUnavailable."""
        await self._providers.release(request.provider, self._received.now_us())
        return sending.ReleaseHeldReturnsResponse(released=await self._received.release(request.provider))
