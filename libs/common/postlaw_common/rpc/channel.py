"""Channels between services: mutual TLS, made on first use, so that a service can be wired before any address is known.

A wrapper of grpc.aio's channel that puts our own callables (calls.py) behind the generated stubs: grpc.aio's interceptors would
cost every call a task of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio

from postlaw_common.caller import maybe_current
from postlaw_common.rpc.calls import Answered, Streamed, Uploaded
from postlaw_common.rpc.near import NearChannel
from postlaw_common.rpc.server import LARGEST_MESSAGE
from postlaw_common.rpc.tls import TlsIdentity, host_name


def connect(address: str, service: str, identity: TlsIdentity) -> grpc.aio.Channel:
    """A bare channel to the service at `host:port`, which must show that service's certificate. Needs a running loop."""
    options: list[tuple[str, Any]] = [
        ("grpc.ssl_target_name_override", host_name(service)),
        ("grpc.max_receive_message_length", LARGEST_MESSAGE),
        ("grpc.max_send_message_length", LARGEST_MESSAGE),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2000),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.use_local_subchannel_pool", 1),  # never a connection under another service's certificate
        ("grpc.lb_policy_name", "round_robin"),  # over all replicas that the name resolves to
    ]
    return grpc.aio.secure_channel(address, identity.channel_credentials(), options=options)


class MeshChannel(grpc.aio.Channel):
    """What generated stubs take. `open` gives the bare channel on first use (raises Unavailable); `token` the signed context
    that calls carry, by default the current caller's; `near` the way through this process, where the service runs in it."""

    def __init__(
        self,
        service: str,
        open: Callable[[], grpc.aio.Channel],
        token: Callable[[], bytes] | None = None,
        near: Callable[[], NearChannel | None] | None = None,
    ) -> None:
        self.service = service
        self._open = open
        self._near = near
        self._bare: grpc.aio.Channel | None = None
        self.token = token or current_token

    def bare(self) -> grpc.aio.Channel:
        if self._bare is None:
            self._bare = self._open()
        return self._bare

    def _nearest(self) -> Any:
        return (self._near and self._near()) or self.bare()

    def unary_unary(self, method: str, *codecs: Any, **named: Any) -> Any:
        return Answered(self.service, self.token, method, lambda: self._nearest().unary_unary(method, *codecs, **named))

    def stream_unary(self, method: str, *codecs: Any, **named: Any) -> Any:
        return Uploaded(self.service, self.token, method, lambda: self.bare().stream_unary(method, *codecs, **named))

    def unary_stream(self, method: str, *codecs: Any, **named: Any) -> Any:
        return Streamed(self.service, self.token, method, lambda: self._nearest().unary_stream(method, *codecs, **named))

    def stream_stream(self, method: str, *codecs: Any, **named: Any) -> Any:
        return Streamed(self.service, self.token, method, lambda: self.bare().stream_stream(method, *codecs, **named))

    async def close(self, grace: float | None = None) -> None:
        """Closes the bare channel, which other wrappers may share."""
        if self._bare is not None:
            await self._bare.close(grace)
            self._bare = None

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return self.bare().get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self.bare().wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self.bare().channel_ready()

    async def __aenter__(self) -> MeshChannel:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def current_token() -> bytes:
    caller = maybe_current()
    return caller.signed if caller else b""
