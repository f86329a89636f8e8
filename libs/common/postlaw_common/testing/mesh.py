"""A mesh for tests: the given services on embedded adapters in a directory, real gRPC over mutual TLS, in the test's own loop.

async with mesh(tmp_path, [build_consent, fake("sending", add_SendingServiceServicer_to_server, FakeSending())]) as m:
    stub = ConsentServiceStub(m.channel("consent", as_service="gateway", caller=m.caller("ten_1", ["consents:write"])))
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import grpc
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from postlaw_common.caller import Actor, Caller
from postlaw_common.errors import PostlawError
from postlaw_common.platform import Platform
from postlaw_common.rpc.channel import MeshChannel
from postlaw_common.rpc.context_token import TrustedKey, context_message, sign_context
from postlaw_common.rpc.signing_keys import keys_of_identity
from postlaw_common.rpc.tls import DevelopmentCA, TlsIdentity
from postlaw_common.runner import Builder, Running, run_services
from postlaw_common.service import Service, Servicer
from postlaw_common.settings import PlatformSettings

_KEY_ID = "test"


@cache
def _authority() -> DevelopmentCA:
    """One a test session."""
    directory = tempfile.mkdtemp(prefix="postlaw-test-ca-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return DevelopmentCA(Path(directory))


@cache
def _identity(service: str) -> TlsIdentity:
    return _authority().identity(service)


class Mesh:
    """`running` has the services, their ports and their backing."""

    def __init__(self, running: Running, key: Ed25519PrivateKey) -> None:
        self.running = running
        self._key = key

    def caller(
        self,
        tenant_id: str,
        scopes: Iterable[str] = (),
        *,
        actor: Actor | None = None,
        on_behalf_of: Actor | None = None,
        credential_id: str = "key_test",
        lives_s: float = 3600,
    ) -> Caller:
        """A caller whose signed context every service of this mesh believes."""
        now = time.time_ns() // 1000
        caller = Caller(tenant_id, actor or Actor("api_key", credential_id), on_behalf_of, frozenset(scopes), credential_id)
        context = context_message(caller, issued_at_us=now - 1_000_000, expires_at_us=now + int(lives_s * 1e6))
        signed = sign_context(self._key, _KEY_ID, context)
        return Caller(tenant_id, caller.actor, on_behalf_of, caller.scopes, credential_id, signed)

    def channel(self, service: str, *, as_service: str = "gateway", caller: Caller | None = None, near: bool = False) -> MeshChannel:
        """With any service's certificate; without `caller`, calls carry the context of `caller.current()`, if any. `near`: not over
        the network but as services of one process call each other."""
        return self.running.channel(service, as_service=as_service, token=(lambda: caller.signed) if caller else None, near=near)

    def http_url(self, service: str = "gateway") -> str:
        return f"http://127.0.0.1:{self.running.http_ports[service]}"


@asynccontextmanager
async def mesh(
    state: Path, builders: Sequence[Builder], *, now_us: Callable[[], int] | None = None, **settings: Any
) -> AsyncGenerator[Mesh]:
    """Starts the services, all ready; further `settings` are PlatformSettings' fields."""
    key = Ed25519PrivateKey.generate()
    trusted = TrustedKey(_KEY_ID, key.public_key().public_bytes_raw())
    started: list[Running] = []

    async def keys() -> Sequence[TrustedKey]:
        if "identity" not in started[0].services:
            return [trusted]
        of_identity = keys_of_identity(started[0].channel("identity", as_service="gateway"))
        try:
            return [trusted, *await of_identity()]
        except PostlawError:  # a fake one, without keys
            return [trusted]

    given: dict[str, Any] = {"state": state, "http_port": {"gateway": 0}, "drain_s": 5.0, **settings}
    async with run_services(PlatformSettings(**given), builders, key_source=keys, identities=_identity, now_us=now_us) as running:
        started.append(running)
        yield Mesh(running, key)


def fake(name: str, add: Callable[[Any, Any], None], servicer: object, proto_name: str = "") -> Builder:
    """A collaborator that is only a servicer; methods that it leaves out answer UNIMPLEMENTED."""
    full_name = proto_name or _proto_name(add)

    def build(_: Platform) -> Service:
        return Service(name=name, servicers=[Servicer(full_name, add, _Partial(servicer))])

    return build


def _proto_name(add: Callable[[Any, Any], None]) -> str:
    """`postlaw.audit.v1.AuditService`, from the generated function's module and name."""
    package = add.__module__.rpartition(".")[0]
    return f"{package}.{add.__name__.removeprefix('add_').removesuffix('Servicer_to_server')}"


class _Partial:
    def __init__(self, servicer: object) -> None:
        self._servicer = servicer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._servicer, name, _unimplemented)


async def _unimplemented(_: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
    await context.abort(grpc.StatusCode.UNIMPLEMENTED, "This fake does not have the method.")
