"""The gRPC server of one service over mutual TLS, with health and reflection, each call behind the door (door.py)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha.reflection import aio as reflection_aio

from postlaw_common.rpc.calls import LONGEST_S
from postlaw_common.rpc.context_token import ContextVerifier
from postlaw_common.rpc.door import Door
from postlaw_common.rpc.method_table import NOBODY, policies_of
from postlaw_common.rpc.tls import TlsIdentity
from postlaw_common.service import Servicer

LARGEST_MESSAGE = 16 << 20  # bytes
CONNECTION_AGE_S = 600.0  # give or take a tenth, by gRPC: then callers connect anew, which asks the DNS, which knows of new replicas
_OPTIONS: Sequence[tuple[str, Any]] = (
    ("grpc.so_reuseport", 0),  # else a second process would quietly share the port
    ("grpc.max_receive_message_length", LARGEST_MESSAGE),
    ("grpc.max_send_message_length", LARGEST_MESSAGE),
    ("grpc.max_concurrent_streams", 1000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    # From its age on a connection takes no new call; those under way go on in it, and no deadline is longer than this.
    ("grpc.max_connection_age_grace_ms", int((LONGEST_S + 60) * 1000)),
)
_SENT_S = 0.5  # for a last answer to leave, in a loop that others keep busy
_HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
_REFLECTION = reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"].full_name


class PortTaken(Exception):
    """The address cannot be listened on; the message is one clear line."""


class MeshServer:
    """One service's gRPC server. Make it inside the running loop, then `bind`, `start`, `set_ready`; at the end `drain`.
    `connection_age_s`: how long a connection takes new calls."""

    def __init__(
        self, identity: TlsIdentity, verifier: ContextVerifier, servicers: Sequence[Servicer], *, connection_age_s: float = CONNECTION_AGE_S
    ) -> None:
        self._identity = identity
        self.door = Door(verifier)
        self._server = grpc.aio.server(options=(*_OPTIONS, ("grpc.max_connection_age_ms", int(connection_age_s * 1000))))
        self._health: Any = cast("Any", health).aio.HealthServicer()
        self._names = [servicer.name for servicer in servicers]
        registrar: Any = _Registrar(self._server, self.door)
        for servicer in servicers:
            servicer.add(servicer.servicer, registrar)
        # Open to whoever holds a certificate of the mesh; the TLS handshake has seen to that.
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (*self._names, _HEALTH, _REFLECTION)
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(reflection_aio.ReflectionServicer(names), self._server)

    @property
    def under_way(self) -> int:
        """Calls being served now, health and reflection apart."""
        return self.door.under_way

    def bind(self, address: str) -> int:
        """Takes the address (`127.0.0.1:0`: any free port) and returns the port. Raises PortTaken."""
        try:
            return self._server.add_secure_port(address, self._identity.server_credentials())
        except RuntimeError as wrong:
            raise PortTaken(
                f"{self._identity.service} cannot listen on {address}: the port is in use, or the address is not this machine's"
            ) from wrong

    async def start(self) -> None:
        await self.set_ready(False)
        await self._server.start()

    async def set_ready(self, ready: bool) -> None:
        """What the health service says, of the process and of each of its services."""
        status = health_pb2.HealthCheckResponse.SERVING if ready else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in ("", *self._names):
            await self._health.set(name, status)

    async def quiet(self, seconds: float) -> bool:
        """Waits until no call is under way; False where that takes longer."""
        try:
            await asyncio.wait_for(self.door.quiet.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def drain(self, seconds: float) -> None:
        """Takes no new call, lets those under way finish for at most `seconds`, then cancels them."""
        self.door.closed = True
        stopping = asyncio.create_task(self._server.stop(seconds))
        await asyncio.sleep(0)
        await self.quiet(seconds)
        # What is left is an answer being sent, or a peer that only watches our health; peers with nothing open go by themselves.
        await asyncio.wait({stopping}, timeout=_SENT_S)
        await self._server.stop(None)
        self.door.cut_off()
        await stopping


class _Registrar:
    """What the generated `add_XServicer_to_server` takes for the server: puts each handler behind the door."""

    def __init__(self, server: grpc.aio.Server, door: Door) -> None:
        self._server = server
        self._door = door

    def add_generic_rpc_handlers(self, handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        """Left out: the same handlers come once more, by name, to `add_registered_method_handlers`."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, grpc.RpcMethodHandler[Any, Any]]) -> None:
        table = policies_of(service)
        wrapped = {name: self._door.wrapped(f"{service}/{name}", table.get(name, NOBODY), handler) for name, handler in handlers.items()}
        self._server.add_registered_method_handlers(service, wrapped)


async def start_server(
    identity: TlsIdentity, verifier: ContextVerifier, servicers: Sequence[Servicer], address: str = "127.0.0.1:0"
) -> tuple[MeshServer, int]:
    """A server that listens, not yet ready, and its port."""
    server = MeshServer(identity, verifier, servicers)
    port = server.bind(address)
    await server.start()
    return server, port
