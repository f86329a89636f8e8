"""Channels between services: mutual TLS, made on first use, with everything that a call of ours must carry.

A call carries the current caller's signed context, the trace, and a deadline (10 s, or what is left of the call being served);
it raises the very error that the server raised; and it is repeated, a few times and on UNAVAILABLE only, where the method's
option says `idempotent`. A wrapper of grpc.aio's channel, since its interceptors would cost every call a task of their own.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from typing import Any

import grpc
import grpc.aio

from postlaw_common.caller import maybe_current
from postlaw_common.errors import DeadlineExceeded, Unavailable
from postlaw_common.rpc import deadline
from postlaw_common.rpc.context_token import METADATA_KEY
from postlaw_common.rpc.method_table import policy_of
from postlaw_common.rpc.server import LARGEST_MESSAGE
from postlaw_common.rpc.status import error_of
from postlaw_common.rpc.tls import TlsIdentity, host_name
from postlaw_common.rpc.tracing import TRACEPARENT, outgoing

DEFAULT_S = 10.0
STREAM_S = 3600.0  # a stream's deadline where the caller names none
_ATTEMPTS = 3
_PAUSE_S = 0.05  # before the second attempt, doubled for each further one, each ± 50 %
_random = random.SystemRandom()

Metadata = list[tuple[str, str | bytes]]


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
    that calls carry, by default the current caller's."""

    def __init__(self, service: str, open: Callable[[], grpc.aio.Channel], token: Callable[[], bytes] | None = None) -> None:
        self.service = service
        self._open = open
        self._bare: grpc.aio.Channel | None = None
        self.token = token or _current_token

    def bare(self) -> grpc.aio.Channel:
        if self._bare is None:
            self._bare = self._open()
        return self._bare

    def unary_unary(
        self, method: str, request_serializer: Any = None, response_deserializer: Any = None, _registered_method: bool = False
    ) -> Any:
        return _Answered(self, method, lambda: self.bare().unary_unary(method, request_serializer, response_deserializer))

    def stream_unary(
        self, method: str, request_serializer: Any = None, response_deserializer: Any = None, _registered_method: bool = False
    ) -> Any:
        return _Uploaded(self, method, lambda: self.bare().stream_unary(method, request_serializer, response_deserializer))

    def unary_stream(
        self, method: str, request_serializer: Any = None, response_deserializer: Any = None, _registered_method: bool = False
    ) -> Any:
        return _Streamed(self, method, lambda: self.bare().unary_stream(method, request_serializer, response_deserializer))

    def stream_stream(
        self, method: str, request_serializer: Any = None, response_deserializer: Any = None, _registered_method: bool = False
    ) -> Any:
        return _Streamed(self, method, lambda: self.bare().stream_stream(method, request_serializer, response_deserializer))

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


def _current_token() -> bytes:
    caller = maybe_current()
    return caller.signed if caller else b""


class _Method:
    """One method of a stub; the bare callable is made at the first call, when the server's address is known."""

    def __init__(self, channel: MeshChannel, path: str, make: Callable[[], Any]) -> None:
        self._channel = channel
        self._service = channel.service
        self._path = path
        self._make = make
        self._bare: Any = None
        self._attempts = _ATTEMPTS if policy_of(path).idempotent else 1

    def _callable(self) -> Any:
        if self._bare is None:
            self._bare = self._make()
        return self._bare

    def _metadata(self, given: Iterable[tuple[str, str | bytes]] | None) -> Metadata:
        metadata: Metadata = list(given) if given else []
        token = self._channel.token()
        if token:
            metadata.append((METADATA_KEY, token))
        trace = outgoing()
        if trace:
            metadata.append((TRACEPARENT, trace))
        return metadata


class _Answered(_Method):
    """unary → unary."""

    async def __call__(self, request: Any, *, timeout: float | None = None, metadata: Any = None, **more: Any) -> Any:
        seconds = deadline.bounded(DEFAULT_S if timeout is None else timeout)
        if seconds <= 0:
            raise DeadlineExceeded(f"No time was left to call {self._service}.")
        bare, sent = self._callable(), self._metadata(metadata)
        ends = time.monotonic() + seconds
        for attempt in range(1, self._attempts + 1):
            try:
                return await bare(request, timeout=seconds, metadata=sent, **more)
            except grpc.aio.AioRpcError as failure:
                error = error_of(failure, self._service)
                if not isinstance(error, Unavailable) or attempt == self._attempts:
                    raise error from None
            pause = max(error.retry_after_s or 0.0, _PAUSE_S * 2 ** (attempt - 1)) * _random.uniform(0.5, 1.5)
            seconds = ends - time.monotonic() - pause
            if seconds <= 0:
                raise error
            await asyncio.sleep(pause)
        raise AssertionError("the last attempt returns or raises")


class _Uploaded(_Method):
    """stream → unary. What the request iterator raises is raised here, too."""

    async def __call__(self, requests: Any, *, timeout: float | None = None, metadata: Any = None, **more: Any) -> Any:
        seconds = STREAM_S if timeout is None else timeout
        broke: list[Exception] = []
        try:
            return await self._callable()(_watched(requests, broke), timeout=seconds, metadata=self._metadata(metadata), **more)
        except grpc.aio.AioRpcError as failure:
            raise error_of(failure, self._service) from None
        except asyncio.CancelledError:
            if broke:
                raise broke[0] from None
            raise


async def _watched(requests: Any, broke: list[Exception]) -> AsyncIterator[Any]:
    try:
        if isinstance(requests, AsyncIterable):
            async for request in requests:
                yield request
        else:
            for request in requests:
                yield request
    except Exception as failure:
        broke.append(failure)
        raise


class _Streamed(_Method):
    """… → stream."""

    def __call__(self, request: Any, *, timeout: float | None = None, metadata: Any = None, **more: Any) -> Answers:
        seconds = STREAM_S if timeout is None else timeout
        call = self._callable()(request, timeout=seconds, metadata=self._metadata(metadata), **more)
        return Answers(call, self._service)


class Answers:
    """The messages of a streamed answer: `async for page in stub.StreamAudience(request)`. `cancel` ends it early."""

    def __init__(self, call: Any, service: str) -> None:
        self._call = call
        self._pages = call.__aiter__()
        self._service = service

    def __aiter__(self) -> Answers:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self._pages.__anext__()
        except grpc.aio.AioRpcError as failure:
            raise error_of(failure, self._service) from None

    def cancel(self) -> bool:
        return self._call.cancel()
