"""Contexts for a service's own background work: an import, a campaign, a sweep. Identity issues them; they live five minutes.

async with contexts.acting(tenant_id, on_behalf_of=started_by, scopes=("audience:read",), purpose=f"campaign {id}"):
    …  # calls carry the context, events its actor
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import grpc.aio

from postlaw.identity.v1 import identity_pb2, identity_pb2_grpc
from postlaw_common.caller import Actor, Caller, acting_as
from postlaw_common.errors import DeadlineExceeded, Unavailable
from postlaw_common.rpc.context_token import actor_message

RENEW_BEFORE_US = 60_000_000  # what begins under a context must be able to end under it

_Key = tuple[str, str, frozenset[str], str]


class ServiceContexts:
    """`identity` is a channel to identity, `service` the name that our certificate shows there."""

    def __init__(self, identity: grpc.aio.Channel, service: str, *, now_us: Callable[[], int] = lambda: time.time_ns() // 1000) -> None:
        self._stub: Any = identity_pb2_grpc.IdentityServiceStub(identity)
        self._service = service
        self._service = service
        self._now_us = now_us
        self._issued: dict[_Key, tuple[Caller, int]] = {}
        self._asking: dict[_Key, asyncio.Lock] = {}

    @asynccontextmanager
    async def acting(
        self, tenant_id: str, on_behalf_of: Actor | None = None, scopes: Iterable[str] = (), purpose: str = ""
    ) -> AsyncGenerator[Caller]:
        """Everything inside is done in the service's name for this tenant. Raises Unavailable where identity cannot be asked.

        The context that holds at the beginning holds until the end: work that takes minutes leaves and enters again, for
        example once a batch. Not to be held across a `yield` of an async generator."""
        caller = await self.get(tenant_id, on_behalf_of, scopes, purpose)
        with acting_as(caller):
            yield caller

    async def get(self, tenant_id: str, on_behalf_of: Actor | None = None, scopes: Iterable[str] = (), purpose: str = "") -> Caller:
        """The context itself, from the cache until 60 s before its end."""
        key = (tenant_id, str(on_behalf_of or ""), frozenset(scopes), purpose)
        if known := self._known(key):
            return known
        async with self._asking.setdefault(key, asyncio.Lock()):
            if known := self._known(key):  # somebody else asked while we waited
                return known
            caller, expires_us = await self._issue(tenant_id, on_behalf_of, key[2], purpose)
            self._issued = {other: issued for other, issued in self._issued.items() if issued[1] > self._now_us()}
            self._asking = {other: lock for other, lock in self._asking.items() if lock.locked()}
            self._issued[key] = (caller, expires_us)
        return caller

    def _known(self, key: _Key) -> Caller | None:
        known = self._issued.get(key)
        return known[0] if known and known[1] - RENEW_BEFORE_US > self._now_us() else None

    async def _issue(self, tenant_id: str, on_behalf_of: Actor | None, scopes: frozenset[str], purpose: str) -> tuple[Caller, int]:
        request = identity_pb2.IssueServiceContextRequest(
            tenant_id=tenant_id,
            on_behalf_of=actor_message(on_behalf_of) if on_behalf_of else None,
            scopes=sorted(scopes),
            purpose=purpose,
        )
        try:
            with acting_as(None):
                issued: identity_pb2.IssuedContext = await self._stub.IssueServiceContext(request)
        except DeadlineExceeded as late:
            raise Unavailable("Identity did not issue a context in time. Try again.", retry_after_s=1.0) from late
        if issued.context.actor.id != self._service:
            raise RuntimeError(f"{self._service} asked over the channel of {issued.context.actor.id}: the wiring is wrong")
        caller = Caller(
            tenant_id=tenant_id,
            actor=Actor("service", self._service),
            on_behalf_of=on_behalf_of,
            scopes=frozenset(issued.context.scopes),
            signed=issued.signed.SerializeToString(),
        )
        return caller, issued.context.expires_at.ToMicroseconds()
