"""The caller's context on the wire: signed by identity (Ed25519), verified everywhere with identity's public keys.

The metadata entry `postlaw-context-bin` holds a SignedContext; the signature covers b"postlaw-context-v1\\n" and the context's
very bytes. A verified token is remembered by its bytes, so the usual call costs a look in a dict and a look at the clock.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from google.protobuf.message import DecodeError

from postlaw.identity.v1 import context_pb2
from postlaw_common.caller import Actor, Caller
from postlaw_common.errors import PostlawError, Unauthenticated, Unavailable

METADATA_KEY = "postlaw-context-bin"
ORIGIN = "postlaw-origin"  # beside it, unsigned: which request a call belongs to (caller.Origin)
_DOMAIN = b"postlaw-context-v1\n"
_REMEMBERED = 4096
_CLOCKS_DIFFER_US = 60_000_000  # an issuer's clock may be ahead of ours by this much
_ASK_AGAIN_S = (1.0, 30.0)  # the pause before identity is asked again: the first, and the longest after failures
_FRESH_S = 300.0  # older keys are asked for again beside the work, so that a withdrawn one lapses

_KINDS: dict[str, context_pb2.Actor.Kind.ValueType] = {
    "api_key": context_pb2.Actor.KIND_API_KEY,
    "user": context_pb2.Actor.KIND_USER,
    "service": context_pb2.Actor.KIND_SERVICE,
    "person": context_pb2.Actor.KIND_PERSON,
    "operator": context_pb2.Actor.KIND_OPERATOR,
}
_KIND_NAMES: dict[int, str] = {number: name for name, number in _KINDS.items()}


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """One of identity's public keys: 32 bytes, and when what it signs counts (microseconds; `not_after_us` 0: no end)."""

    key_id: str
    public_key: bytes
    not_before_us: int = 0
    not_after_us: int = 0


KeySource = Callable[[], Awaitable[Sequence[TrustedKey]]]


def sign_context(private_key: Ed25519PrivateKey, key_id: str, context: context_pb2.CallerContext) -> bytes:
    """A serialized SignedContext."""
    body = context.SerializeToString()
    return context_pb2.SignedContext(context=body, key_id=key_id, signature=private_key.sign(_DOMAIN + body)).SerializeToString()


def actor_message(actor: Actor) -> context_pb2.Actor:
    """ValueError where the actor's kind is not one of the contract's."""
    if actor.kind not in _KINDS:
        raise ValueError(f"{actor.kind!r} is no kind of actor; it is one of {', '.join(_KINDS)}")
    return context_pb2.Actor(kind=_KINDS[actor.kind], id=actor.id)


def context_message(caller: Caller, *, issued_at_us: int, expires_at_us: int) -> context_pb2.CallerContext:
    """The contract's message for a caller, ready to be signed."""
    context = context_pb2.CallerContext(
        tenant_id=caller.tenant_id,
        actor=actor_message(caller.actor),
        on_behalf_of=actor_message(caller.on_behalf_of) if caller.on_behalf_of else None,
        scopes=sorted(caller.scopes),
        credential_id=caller.credential_id,
    )
    context.issued_at.FromMicroseconds(issued_at_us)
    context.expires_at.FromMicroseconds(expires_at_us)
    return context


def _actor(message: context_pb2.Actor) -> Actor:
    kind = _KIND_NAMES.get(message.kind)
    if kind is None:
        raise Unauthenticated("The caller's context names no actor of a known kind.")
    return Actor(kind, message.id)


class ContextVerifier:
    """Turns tokens into callers. Asks `source` for keys on first need and on an unknown key id, never more often than the
    back-off allows; known keys keep working while identity is down."""

    def __init__(self, source: KeySource, *, now_us: Callable[[], int] = lambda: time.time_ns() // 1000) -> None:
        self._source = source
        self._now_us = now_us
        self._keys: dict[str, tuple[TrustedKey, Ed25519PublicKey]] = {}
        self._verified: OrderedDict[bytes, tuple[Caller, int]] = OrderedDict()
        self._asking: asyncio.Task[None] | None = None
        self._asked_at = self._ask_not_before = 0.0
        self._pause = _ASK_AGAIN_S[0]
        self._failure: Exception | None = None

    def remembered(self, token: bytes) -> Caller | None:
        """The caller of a token that was verified before and has not expired; None: use `verify`."""
        found = self._verified.get(token)
        if found is None or found[1] <= self._now_us():
            return None
        self._verified.move_to_end(token)
        return found[0]

    async def verify(self, token: bytes) -> Caller:
        """Raises Unauthenticated (forged, expired, of an unknown key) or Unavailable (the key could not be asked for)."""
        caller = self.remembered(token)
        if caller is not None:
            return caller
        try:
            signed = context_pb2.SignedContext.FromString(token)
            context = context_pb2.CallerContext.FromString(signed.context)
        except DecodeError as wrong:
            raise Unauthenticated("The caller's context cannot be read; send the SignedContext as identity issued it.") from wrong
        key, public = await self._key(signed.key_id)
        try:
            public.verify(signed.signature, _DOMAIN + signed.context)
        except InvalidSignature as wrong:
            raise Unauthenticated("The signature of the caller's context is wrong.") from wrong
        now, issued, expires = self._now_us(), context.issued_at.ToMicroseconds(), context.expires_at.ToMicroseconds()
        if expires <= now:
            raise Unauthenticated("The caller's context has expired; get a new one from identity.", type="context-expired")
        if key.not_after_us:
            expires = min(expires, key.not_after_us)
        if issued > now + _CLOCKS_DIFFER_US or issued < key.not_before_us or expires <= now:
            raise Unauthenticated("The caller's context was not issued within the life of the key that signed it.")
        caller = Caller(
            tenant_id=context.tenant_id,
            actor=_actor(context.actor),
            on_behalf_of=_actor(context.on_behalf_of) if context.HasField("on_behalf_of") else None,
            scopes=frozenset(context.scopes),
            credential_id=context.credential_id,
            signed=token,
        )
        while len(self._verified) >= _REMEMBERED:
            self._verified.popitem(last=False)
        self._verified[token] = (caller, expires)
        return caller

    async def _key(self, key_id: str) -> tuple[TrustedKey, Ed25519PublicKey]:
        found = self._keys.get(key_id)
        if found is None:
            asking = self._begin_asking()
            if asking is not None:
                # Shielded: the first asker's deadline must not spoil the answer for those who wait beside it.
                await asyncio.shield(asking)
            found = self._keys.get(key_id)
        elif time.monotonic() > self._asked_at + _FRESH_S:
            self._begin_asking()
        if found is not None:
            return found
        if self._failure is not None:
            raise Unavailable("The caller's context cannot be verified: identity's keys cannot be had now. Try again.", retry_after_s=1.0)
        raise Unauthenticated("The caller's context was signed with a key that identity does not know.")

    def _begin_asking(self) -> asyncio.Task[None] | None:
        """The one inquiry under way, begun now if the back-off allows."""
        if self._asking is None and time.monotonic() >= self._ask_not_before:
            self._asking = asyncio.create_task(self._ask())
        return self._asking

    async def _ask(self) -> None:
        try:
            keys = await self._source()
            self._keys = {key.key_id: (key, Ed25519PublicKey.from_public_bytes(key.public_key)) for key in keys}
            self._failure, self._pause, self._asked_at = None, _ASK_AGAIN_S[0], time.monotonic()
        except (PostlawError, OSError, ValueError) as failure:
            self._failure, self._pause = failure, min(self._pause * 2, _ASK_AGAIN_S[1])
        finally:
            self._ask_not_before = time.monotonic() + self._pause
            self._asking = None
