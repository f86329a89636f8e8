"""Who is calling: set by the gRPC server from the verified context token, read by use cases, carried on into calls and events."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from postlaw_common.errors import Unauthenticated


@dataclass(frozen=True, slots=True)
class Actor:
    """`kind`: api_key, user, service, person or operator."""

    kind: str
    id: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}"


@dataclass(frozen=True, slots=True)
class Origin:
    """The request of ours that a call belongs to. `network`: the address block that it came from (a /24, a /48), never an address."""

    request_id: str
    network: str = ""

    def __str__(self) -> str:
        return f"{self.request_id} {self.network}".rstrip()

    @staticmethod
    def parsed(text: str) -> Origin:
        """The way back from str()."""
        request_id, _, network = text.partition(" ")
        return Origin(request_id, network)


@dataclass(frozen=True, slots=True)
class Caller:
    """`tenant_id` empty: the platform itself. `signed` is the token as it came, to be forwarded with our own calls. `origin` is not signed:
    it is told from call to call, and only ever told on, into events."""

    tenant_id: str
    actor: Actor
    on_behalf_of: Actor | None = None
    scopes: frozenset[str] = frozenset()
    credential_id: str = ""
    signed: bytes = b""
    origin: Origin | None = field(default=None, compare=False)


OPERATOR = Actor("operator", "operator")

_current: ContextVar[Caller | None] = ContextVar("postlaw_caller", default=None)
_unnamed: ContextVar[Actor | None] = ContextVar("postlaw_unnamed", default=None)


def current() -> Caller:
    """The caller of this call or job. Raises Unauthenticated where there is none."""
    caller = _current.get()
    if caller is None:
        raise Unauthenticated("This call carries no caller's context. Send one in the metadata entry postlaw-context-bin.")
    return caller


def maybe_current() -> Caller | None:
    return _current.get()


def acting() -> Actor | None:
    """Who acts: the caller, or whoever runs the installation, also where they call without a context. None: the service by itself."""
    caller = _current.get()
    return caller.actor if caller else _unnamed.get()


@contextmanager
def acting_as(caller: Caller | None, *, unnamed: Actor | None = None) -> Generator[None]:
    """Everything inside is done in this caller's name: calls carry its token, events its actor.
    `unnamed`: the actor where there is no caller."""
    token, before = _current.set(caller), _unnamed.set(unnamed)
    try:
        yield
    finally:
        _unnamed.reset(before)
        _current.reset(token)
