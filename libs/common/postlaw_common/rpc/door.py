"""The door that every call of a server passes; no servicer knows of it.

In this order: the peer's name from its certificate, the method table, the deadline, the caller's context, the scopes; only
then are the request's bytes parsed and checked against the contract. Handlers are wrapped once, when they are added: grpc.aio's
interceptors would cost every call a layer of its own.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any, cast

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from postlaw_common.caller import OPERATOR, Actor, Caller, Origin, acting_as
from postlaw_common.errors import Denied, Invalid, PostlawError, Unauthenticated
from postlaw_common.rpc import deadline
from postlaw_common.rpc.context_token import METADATA_KEY, ORIGIN, ContextVerifier
from postlaw_common.rpc.failures import as_postlaw_error
from postlaw_common.rpc.method_table import Policy
from postlaw_common.rpc.status import DETAILS_KEY, code_of, details_of
from postlaw_common.rpc.tls import SPIFFE_PREFIX
from postlaw_common.rpc.tracing import TRACEPARENT, served, served_span
from postlaw_common.rpc.validate import validate

Context = grpc.aio.ServicerContext[Any, Any]
TLS_1_3 = b"TLSv1.3"
Parse = Callable[[bytes], Any]
Run = Callable[[Any, Context], Any]


class Door:
    def __init__(self, verifier: ContextVerifier) -> None:
        self._verifier = verifier
        self.handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}  # by path, behind their policies
        self.near: set[asyncio.Task[Any]] = set()  # calls from this very process (near.py)
        self.closed = False  # to those
        self.under_way = 0
        self.quiet = asyncio.Event()  # no call is under way
        self.quiet.set()

    def cut_off(self) -> None:
        """No call from this process any more, nor an answer to those under way."""
        self.closed = True
        for call in self.near:
            call.cancel()

    def wrapped(self, path: str, policy: Policy, handler: grpc.RpcMethodHandler[Any, Any]) -> grpc.RpcMethodHandler[Any, Any]:
        """The handler behind its policy. It gets raw bytes from gRPC, so that nothing is parsed for a caller who is refused."""
        parse = handler.request_deserializer
        assert parse is not None
        if handler.request_streaming:
            run = handler.stream_stream if handler.response_streaming else handler.stream_unary
        else:
            run = handler.unary_stream if handler.response_streaming else handler.unary_unary
        # grpc's types know only its threaded server; under grpc.aio it is the servicer's own async method.
        method: Run = cast("Any", run)
        read = _each_read if handler.request_streaming else _read
        if handler.response_streaming:
            call = self._streaming(path, policy, method, parse, read)
            make = grpc.stream_stream_rpc_method_handler if handler.request_streaming else grpc.unary_stream_rpc_method_handler
        else:
            call = self._answering(path, policy, method, parse, read)
            make = grpc.stream_unary_rpc_method_handler if handler.request_streaming else grpc.unary_unary_rpc_method_handler
        self.handlers[f"/{path}"] = wrapped = make(call, request_deserializer=None, response_serializer=handler.response_serializer)
        return wrapped

    def _answering(self, path: str, policy: Policy, run: Run, parse: Parse, read: Callable[[Any, Parse], Any]) -> Any:
        async def call(raw: Any, context: Context) -> Any:
            left, began, code = self._enter(context), time.perf_counter(), grpc.StatusCode.OK
            try:
                caller, traceparent, unnamed = await self._admit(path, policy, context)
                with served_span(path, traceparent), acting_as(caller, unnamed=unnamed):
                    return await run(read(raw, parse), context)
            except (grpc.aio.AbortError, asyncio.CancelledError):
                code = grpc.StatusCode.CANCELLED
                raise
            except Exception as failure:
                error = as_postlaw_error(failure, path)
                code = code_of(error)
                await _refuse(context, error, code)
            finally:
                self._leave(left)
                served(path, code, time.perf_counter() - began)

        return call

    def _streaming(self, path: str, policy: Policy, run: Run, parse: Parse, read: Callable[[Any, Parse], Any]) -> Any:
        iterates = inspect.isasyncgenfunction(run)

        async def call(raw: Any, context: Context) -> None:
            left, began, code = self._enter(context), time.perf_counter(), grpc.StatusCode.OK
            try:
                caller, traceparent, unnamed = await self._admit(path, policy, context)
                with served_span(path, traceparent), acting_as(caller, unnamed=unnamed):
                    answers = run(read(raw, parse), context)
                    if iterates:
                        await _written(answers, context)
                    else:
                        await answers
            except (grpc.aio.AbortError, asyncio.CancelledError):
                code = grpc.StatusCode.CANCELLED
                raise
            except Exception as failure:
                error = as_postlaw_error(failure, path)
                code = code_of(error)
                await _refuse(context, error, code)
            finally:
                self._leave(left)
                served(path, code, time.perf_counter() - began)

        return call

    def _enter(self, context: Context) -> deadline.TimeLeft | None:
        self.under_way += 1
        self.quiet.clear()
        remaining = _time_remaining(context)
        return None if remaining is None else deadline.begin(remaining)

    def _leave(self, left: deadline.TimeLeft | None) -> None:
        if left is not None:
            left.lift()
        self.under_way -= 1
        if not self.under_way:
            self.quiet.set()

    async def _admit(self, path: str, policy: Policy, context: Context) -> tuple[Caller | None, str, Actor | None]:
        """The verified caller, the traceparent, and who acts where there is no caller. Raises Denied, Unauthenticated, Invalid."""
        peer = peer_service(context)
        if peer not in policy.callers:
            raise Denied(f"{path} may not be called by {peer or 'a peer without a service name'}.", type="caller-not-allowed")
        if _time_remaining(context) is None:
            raise Invalid(f"{path} was called without a deadline; set one on every call.", type="deadline-required")
        token, traceparent, origin = b"", "", ""
        for key, value in context.invocation_metadata() or ():
            if key == METADATA_KEY and isinstance(value, bytes):
                token = value
            elif key == TRACEPARENT and isinstance(value, str):
                traceparent = value
            elif key == ORIGIN and isinstance(value, str):
                origin = value
        caller: Caller | None = None
        if token:
            caller = self._verifier.remembered(token) or await self._verifier.verify(token)
        elif policy.context:
            raise Unauthenticated(f"{path} needs a caller's context in the metadata entry {METADATA_KEY}.", type="context-required")
        if policy.scopes and not (caller and policy.scopes <= caller.scopes):
            missing = ", ".join(sorted(policy.scopes - (caller.scopes if caller else frozenset())))
            raise Denied(f"The caller lacks the scope {missing}.", type="missing-scope")
        if caller and origin:
            caller = replace(caller, origin=Origin.parsed(origin))
        return caller, traceparent, OPERATOR if peer == OPERATOR.id else None


def peer_service(context: Context) -> str:
    """The peer's name from the one URI SAN of its verified certificate; empty where it has none of ours, or speaks an older TLS."""
    shown = context.auth_context()
    names = list(shown.get("peer_spiffe_id", ()))
    if len(names) != 1 or TLS_1_3 not in shown.get("ssl_tls_version", ()):
        return ""
    name = names[0].decode()
    return name[len(SPIFFE_PREFIX) :] if name.startswith(SPIFFE_PREFIX) else ""


def _time_remaining(context: Context) -> float | None:
    """Seconds; None where the call has no deadline (which grpc's types leave out)."""
    return cast("float | None", context.time_remaining())


def _read(raw: bytes, parse: Parse) -> Any:
    try:
        request = parse(raw)
    except DecodeError as wrong:
        raise Invalid("The request cannot be parsed as the method's message.") from wrong
    validate(request)
    return request


async def _each_read(raw: AsyncIterator[bytes], parse: Parse) -> AsyncIterator[Any]:
    async for one in raw:
        yield _read(one, parse)


async def _written(answers: AsyncGenerator[Any], context: Context) -> None:
    async with aclosing(answers):  # at once, not when somebody collects it: who is cut off in a write lets go of what they read
        async for answer in answers:
            await context.write(answer)


async def _refuse(context: Context, error: PostlawError, code: grpc.StatusCode) -> None:
    await context.abort(code, error.detail[:500], ((DETAILS_KEY, details_of(error)),))
