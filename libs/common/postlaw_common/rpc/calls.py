"""What a call of ours carries: the caller's signed context, the trace, and a deadline (10 s, or what is left of the call served).

It raises the very error that the server raised; and it is repeated, a few times and only where the server was not there or ended
it unanswered (UNAVAILABLE, CANCELLED), where the method's option says `idempotent`.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable
from typing import Any

import grpc.aio
from opentelemetry.trace import Span

from postlaw_common.caller import maybe_current
from postlaw_common.errors import DeadlineExceeded, PostlawError, Unavailable
from postlaw_common.rpc import deadline
from postlaw_common.rpc.context_token import METADATA_KEY, ORIGIN
from postlaw_common.rpc.method_table import policy_of
from postlaw_common.rpc.status import error_of
from postlaw_common.rpc.tracing import TRACEPARENT, call_span, ended, outgoing
from postlaw_common.telemetry.spans import written

DEFAULT_S = 10.0
STREAM_S = 3600.0  # a stream's deadline where the caller names none
LONGEST_S = 24 * 3600.0  # the longest that a caller may name: an upload's
_ATTEMPTS = 3
_PAUSE_S = 0.05  # before the second attempt, doubled for each further one, each ± 50 %
_LONGEST_PAUSE_S = 0.15  # a server that asks for a longer one is not asked again here
_random = random.SystemRandom()
NOT_ANSWERED = (grpc.aio.AioRpcError, grpc.aio.UsageError, asyncio.CancelledError)

Metadata = list[tuple[str, str | bytes]]


class Method:
    """One method of a stub; the bare callable is made at the first call, when the server's address is known."""

    def __init__(self, service: str, token: Callable[[], bytes], path: str, make: Callable[[], Any]) -> None:
        self._service = service
        self._path = path
        self._token = token
        self._make = make
        self._bare: Any = None
        self._attempts = _ATTEMPTS if policy_of(path).idempotent else 1

    def _callable(self) -> Any:
        if self._bare is None:
            self._bare = self._make()
        return self._bare

    def _metadata(self, given: Iterable[tuple[str, str | bytes]] | None, span: Span | None) -> Metadata:
        metadata: Metadata = list(given) if given else []
        token = self._token()
        if token:
            metadata.append((METADATA_KEY, token))
        trace = written(span) if span is not None else outgoing()
        if trace:
            metadata.append((TRACEPARENT, trace))
        caller = maybe_current()
        if caller is not None and caller.origin is not None:
            metadata.append((ORIGIN, str(caller.origin)))
        return metadata

    def _error(self, failure: BaseException) -> PostlawError:
        return _error_of(failure, self._service)


def _error_of(failure: BaseException, service: str) -> PostlawError:
    """The error to raise. A cancellation that is not ours is grpc's way of saying that the channel was closed meanwhile."""
    if isinstance(failure, grpc.aio.AioRpcError):
        return error_of(failure, service)
    task = asyncio.current_task()
    if isinstance(failure, asyncio.CancelledError) and task is not None and task.cancelling():
        raise failure
    return Unavailable(f"The channel to {service} was closed; this process is stopping.")


class Answered(Method):
    """unary → unary."""

    async def __call__(self, request: Any, *, timeout: float | None = None, metadata: Any = None, **more: Any) -> Any:
        seconds = deadline.bounded(DEFAULT_S if timeout is None else timeout)
        if seconds <= 0:
            raise DeadlineExceeded(f"No time was left to call {self._service}.")
        span = call_span(self._path, self._service)
        try:
            answer = await self._tried(request, seconds, self._metadata(metadata, span), more)
        except BaseException as failure:
            ended(span, failure)
            raise
        ended(span)
        return answer

    async def _tried(self, request: Any, seconds: float, sent: Metadata, more: dict[str, Any]) -> Any:
        bare = self._callable()
        ends = time.monotonic() + seconds
        for attempt in range(1, self._attempts + 1):
            try:
                return await bare(request, timeout=seconds, metadata=sent, **more)
            except NOT_ANSWERED as failure:
                error = self._error(failure)
                later = (error.retry_after_s or 0.0) > _LONGEST_PAUSE_S  # not our caller's time to wait
                if not isinstance(error, Unavailable) or attempt == self._attempts or later:
                    raise error from None
            pause = _PAUSE_S * 2 ** (attempt - 1) * _random.uniform(0.5, 1.5)
            seconds = ends - time.monotonic() - pause
            if seconds <= 0:
                raise error
            await asyncio.sleep(pause)
        raise AssertionError("the last attempt returns or raises")


class Uploaded(Method):
    """stream → unary. What the request iterator raises is raised here, too."""

    async def __call__(self, requests: Any, *, timeout: float | None = None, metadata: Any = None, **more: Any) -> Any:
        seconds = STREAM_S if timeout is None else timeout
        broke: list[Exception] = []
        span = call_span(self._path, self._service)
        try:
            answer = await self._callable()(_watched(requests, broke), timeout=seconds, metadata=self._metadata(metadata, span), **more)
        except NOT_ANSWERED as failure:
            error = broke[0] if broke else self._error(failure)
            ended(span, error)
            raise error from None
        ended(span)
        return answer


async def _watched(requests: Any, broke: list[Exception]) -> AsyncGenerator[Any]:
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


class Streamed(Method):
    """… → stream."""

    def __call__(self, request: Any, *, timeout: float | None = None, metadata: Any = None, **more: Any) -> Answers:
        seconds = STREAM_S if timeout is None else timeout
        span = call_span(self._path, self._service)
        call = self._callable()(request, timeout=seconds, metadata=self._metadata(metadata, span), **more)
        return Answers(call, self._service, span)


class Answers:
    """The messages of a streamed answer: `async for page in stub.StreamAudience(request)`. `cancel` ends it early."""

    def __init__(self, call: Any, service: str, span: Span | None) -> None:
        self._call = call
        self._pages = call.__aiter__()
        self._service = service
        self._span = span

    def __aiter__(self) -> Answers:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self._pages.__anext__()
        except StopAsyncIteration:
            self._end()
            raise
        except NOT_ANSWERED as failure:
            error = _error_of(failure, self._service)
            self._end(error)
            raise error from None

    def cancel(self) -> bool:
        self._end()
        return self._call.cancel()

    def _end(self, error: PostlawError | None = None) -> None:
        ended(self._span, error)
        self._span = None
