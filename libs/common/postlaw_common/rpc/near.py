"""Calls between services of one process: through the callee's door, without a network (docs/adr/0015).

A call means what it means over gRPC. Request and answer pass as bytes, so nobody shares an object with anybody; the door applies
the same table, deadline, context and contract; a call runs in a task and a context of its own; errors arrive as gRPC's do.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, cast

import grpc
import grpc.aio

from postlaw_common.rpc.door import TLS_1_3, Door
from postlaw_common.rpc.tls import SPIFFE_PREFIX

_NONE = grpc.aio.Metadata()
_AHEAD = 1  # answers of a stream that wait to be taken: who reads slowly is not read ahead for

Codec = Callable[[Any], Any]
Pairs = Iterable[tuple[str, str | bytes]]


class NearChannel:
    """Calls to the services behind `door`, made by the service `peer` of the same process."""

    def __init__(self, door: Door, peer: str) -> None:
        self._door = door
        # What mutual TLS would show of this peer: it runs in our own process, under a name that only the runner gives.
        self._shown = {"peer_spiffe_id": [(SPIFFE_PREFIX + peer).encode()], "ssl_tls_version": [TLS_1_3]}

    def unary_unary(self, method: str, request_serializer: Codec = bytes, response_deserializer: Codec = bytes, **_: Any) -> _Answered:
        return _Answered(self._door, self._shown, method, request_serializer, response_deserializer)

    def unary_stream(self, method: str, request_serializer: Codec = bytes, response_deserializer: Codec = bytes, **_: Any) -> _Streamed:
        return _Streamed(self._door, self._shown, method, request_serializer, response_deserializer)


class _Context:
    """What the door, and a servicer, ask of gRPC's context."""

    def __init__(self, shown: dict[str, list[bytes]], seconds: float | None, metadata: Pairs | None) -> None:
        self._shown = shown
        self._ends = None if seconds is None else time.monotonic() + seconds
        self._metadata = metadata
        self.write: Codec = _no_stream

    def auth_context(self) -> dict[str, list[bytes]]:
        return self._shown

    def time_remaining(self) -> float | None:
        return None if self._ends is None else max(0.0, self._ends - time.monotonic())

    def invocation_metadata(self) -> Pairs | None:
        return self._metadata

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: Iterable[tuple[str, bytes]] = ()) -> None:
        raise _Refused(grpc.aio.AioRpcError(code, _NONE, grpc.aio.Metadata(*trailing_metadata), details))


class _Refused(grpc.aio.AbortError):
    def __init__(self, error: grpc.aio.AioRpcError) -> None:
        super().__init__()
        self.error = error


class _Method:
    def __init__(self, door: Door, shown: dict[str, list[bytes]], path: str, serialize: Codec, deserialize: Codec) -> None:
        self._door = door
        self._shown = shown
        self._path = path
        self._serialize = serialize
        self._deserialize = deserialize

    def _handler(self) -> grpc.RpcMethodHandler[Any, Any]:
        """Raises AioRpcError where the door is closed, or leads to no such method."""
        if self._door.closed:
            raise _failed(grpc.StatusCode.UNAVAILABLE, "the service is stopping")
        handler = self._door.handlers.get(self._path)
        if handler is None:
            raise _failed(grpc.StatusCode.UNIMPLEMENTED, "there is no such method")
        return handler

    def _begun(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """In an empty context: what a caller has set there is not the callee's to see, nor the other way round."""
        task = asyncio.get_running_loop().create_task(work, name=self._path, context=contextvars.Context())
        self._door.near.add(task)
        task.add_done_callback(self._door.near.discard)
        return task


class _Answered(_Method):
    """unary → unary."""

    async def __call__(self, request: Any, *, timeout: float | None = None, metadata: Pairs | None = None, **_: Any) -> Any:
        handler = self._handler()
        run = cast("Any", handler.unary_unary)
        task = self._begun(run(self._serialize(request), _Context(self._shown, timeout, metadata)))
        try:
            await asyncio.wait((task,), timeout=timeout)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if not task.done():
            task.cancel()
            raise _failed(grpc.StatusCode.DEADLINE_EXCEEDED, "no answer in time")
        try:
            answer = task.result()
        except _Refused as refused:
            raise refused.error from None
        return self._deserialize(cast("Any", handler.response_serializer)(answer))


class _Streamed(_Method):
    """unary → stream."""

    def __call__(self, request: Any, *, timeout: float | None = None, metadata: Pairs | None = None, **_: Any) -> _Answers:
        handler = self._handler()
        serialize = cast("Any", handler.response_serializer)
        context = _Context(self._shown, timeout, metadata)
        waiting: asyncio.Queue[bytes | BaseException] = asyncio.Queue(_AHEAD)

        async def write(answer: Any) -> None:
            await waiting.put(serialize(answer))

        context.write = write
        work = _streaming(cast("Any", handler.unary_stream)(self._serialize(request), context), waiting, timeout)
        return _Answers(self._begun(work), waiting, self._deserialize)


async def _streaming(work: Coroutine[Any, Any, None], waiting: asyncio.Queue[bytes | BaseException], timeout: float | None) -> None:
    """The last thing in the queue says how the stream ended."""
    end: BaseException = StopAsyncIteration()
    try:
        async with asyncio.timeout(timeout):
            await work
    except _Refused as refused:
        end = refused.error
    except TimeoutError:
        end = _failed(grpc.StatusCode.DEADLINE_EXCEEDED, "the stream did not end in time")
    await waiting.put(end)


class _Answers:
    """A stream under way. Whoever lets go of it ends it."""

    def __init__(self, task: asyncio.Task[None], waiting: asyncio.Queue[bytes | BaseException], deserialize: Codec) -> None:
        self._task = task
        self._waiting = waiting
        self._deserialize = deserialize
        self._end: BaseException | None = None
        task.add_done_callback(lambda task, waiting=waiting: _closed(waiting) if task.cancelled() else None)

    def __aiter__(self) -> _Answers:
        return self

    async def __anext__(self) -> Any:
        if self._end is None:
            answer = await self._waiting.get()
            if isinstance(answer, bytes):
                return self._deserialize(answer)
            self._end = answer
        raise self._end

    def cancel(self) -> bool:
        return self._task.cancel()

    def __del__(self) -> None:
        self._task.cancel()


def _closed(waiting: asyncio.Queue[bytes | BaseException]) -> None:
    """The stream was cut off: its reader must not wait for ever."""
    while not waiting.empty():
        waiting.get_nowait()
    waiting.put_nowait(_failed(grpc.StatusCode.CANCELLED, "the stream was ended"))


async def _no_stream(_: Any) -> None:
    raise TypeError("a method with one answer writes no stream")


def _failed(code: grpc.StatusCode, details: str) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, _NONE, _NONE, details)
