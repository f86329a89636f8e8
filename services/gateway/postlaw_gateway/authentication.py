"""Who calls: an API key is exchanged at identity for a signed context, which is kept until it ends or its key is revoked.

Only good answers are kept. An answer that was under way while its key's revocation came in is not believed. While the
revocations cannot be heard (the bus is away), nothing kept is believed either: each request then asks identity.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from postlaw_common.caller import Caller, acting_as
from postlaw_common.errors import Conflict, Denied, Invalid, NotFound, Unauthenticated
from postlaw_gateway.clients import Calls, method
from postlaw_gateway.wire import authenticate_request, issued_caller

_AUTHENTICATE = method("identity.AuthenticateApiKey")
_KEPT = 20_000  # contexts; about 1 kB each
_REVOKED_KEPT = 100_000
_MARGIN_US = 15_000_000  # a context is not begun with when it could end during the call (deadline 10 s)
_PREFIX = "pl_"
_MAX_SECRET = 200  # as in AuthenticateApiKeyRequest

KINDS = {"expired-key": "expired_key", "revoked-key": "revoked_key"}  # problem type → AccessRefused.kind


class KeyRefused(Unauthenticated):
    """No good key came with the request. `kind` as in AccessRefused; empty where there was no key at all."""

    def __init__(self, detail: str, *, type: str | None = None, kind: str = "") -> None:
        super().__init__(detail, type=type)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class _Known:
    caller: Caller
    expires_us: int


class Authentication:
    def __init__(self, calls: Calls, *, now_us: Callable[[], int], hears_revocations: Callable[[], bool]) -> None:
        self._calls = calls
        self._now_us = now_us
        self._hears_revocations = hears_revocations
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._by_credential: dict[str, bytes] = {}
        self._revoked: OrderedDict[str, None] = OrderedDict()
        self._asking: dict[bytes, asyncio.Task[_Known]] = {}

    async def caller(self, authorization: str | None) -> Caller:
        """The caller that an Authorization header proves. Raises KeyRefused, or Unavailable where identity cannot be asked."""
        secret = _bearer(authorization)
        digest = hashlib.sha256(secret.encode()).digest()
        known = self._known.get(digest)
        if known is not None and known.expires_us - _MARGIN_US > self._now_us() and self._hears_revocations():
            return known.caller
        # One question for any number of requests that come with the same key at once.
        asking = self._asking.get(digest)
        if asking is None:
            asking = self._asking[digest] = asyncio.create_task(self._ask(secret, digest))
            asking.add_done_callback(lambda _: self._asking.pop(digest, None))
        known = await asyncio.shield(asking)
        # Checked after the answer: the revocation may have come in while identity was answering.
        if known.caller.credential_id in self._revoked:
            raise KeyRefused("This API key was revoked.", type="revoked-key", kind="revoked_key")
        return known.caller

    async def _ask(self, secret: str, digest: bytes) -> _Known:
        try:
            with acting_as(None):
                issued = await self._calls.unary(_AUTHENTICATE, authenticate_request(secret))
        except (Unauthenticated, Denied, NotFound, Invalid, Conflict) as refused:
            kind = KINDS.get(refused.type, "unknown_key")
            detail = {"expired_key": "This API key has expired.", "revoked_key": "This API key was revoked."}.get(kind)
            type = refused.type if detail else "unknown-key"
            raise KeyRefused(detail or "This API key is not known.", type=type, kind=kind) from None
        caller, expires_us = issued_caller(issued)
        known = _Known(caller, expires_us)
        if caller.credential_id not in self._revoked:
            self._keep(digest, known)
        return known

    def _keep(self, digest: bytes, known: _Known) -> None:
        self._known[digest] = known
        self._known.move_to_end(digest)
        self._by_credential[known.caller.credential_id] = digest
        if len(self._known) > _KEPT:
            _, oldest = self._known.popitem(last=False)
            self._by_credential.pop(oldest.caller.credential_id, None)

    def revoke(self, credential_id: str) -> None:
        """This key counts no more, from now on, whatever identity may still be about to answer."""
        self._revoked[credential_id] = None
        if len(self._revoked) > _REVOKED_KEPT:
            self._revoked.popitem(last=False)
        digest = self._by_credential.pop(credential_id, None)
        if digest is not None:
            self._known.pop(digest, None)


def _bearer(authorization: str | None) -> str:
    if not authorization:
        raise KeyRefused("Send an API key: `Authorization: Bearer pl_live_…`.")
    scheme, _, secret = authorization.partition(" ")
    secret = secret.strip()
    if scheme.lower() != "bearer" or not secret:
        raise KeyRefused("The Authorization header must be `Bearer` and an API key.")
    if not secret.startswith(_PREFIX) or len(secret) > _MAX_SECRET or not secret.isascii() or not secret.isprintable():
        raise KeyRefused("This is not an API key of ours.", type="unknown-key", kind="unknown_key")
    return secret
