"""Spans and durations of calls, by OpenTelemetry's conventions for gRPC. Where nobody reads them, only trace ids are kept up."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache

import grpc
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, StatusCode

from postlaw_common.errors import PostlawError
from postlaw_common.rpc.status import code_of
from postlaw_common.telemetry import meter
from postlaw_common.telemetry.exporting import exporting
from postlaw_common.telemetry.spans import TRACEPARENT, begun, below, outgoing

__all__ = ["TRACEPARENT", "call_span", "ended", "outgoing", "served", "served_span"]

BUCKETS_MS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 60_000]

_tracer = trace.get_tracer("postlaw.rpc")
_duration = meter(__name__).create_histogram(
    "rpc.server.duration", unit="ms", description="Calls served, by method and code", explicit_bucket_boundaries_advisory=BUCKETS_MS
)
# Codes that are the server's fault (semantic conventions for gRPC).
_FAULTS = {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}


@cache
def _method(path: str) -> Mapping[str, str]:
    service, _, method = path.strip("/").rpartition("/")
    return {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method}


@cache
def _method_and_code(path: str, code: grpc.StatusCode) -> Mapping[str, str | int]:
    return {**_method(path), "rpc.grpc.status_code": _number(code)}


def _number(code: grpc.StatusCode) -> int:
    return int(code.value[0])  # pyright: ignore[reportIndexIssue]


def served(path: str, code: grpc.StatusCode, seconds: float) -> None:
    """Counts a call that was served, refused ones included."""
    _duration.record(seconds * 1000, _method_and_code(path, code))


def served_span(path: str, traceparent: str) -> AbstractContextManager[Span | None]:
    """The span of a call being served, below the caller's."""
    if not traceparent and isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return nullcontext()
    return _served_span(path, traceparent)


@contextmanager
def _served_span(path: str, traceparent: str) -> Generator[Span]:
    with _tracer.start_as_current_span(
        path,
        context=below(traceparent),
        kind=SpanKind.SERVER,
        attributes=_method(path),
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield span
        except Exception as failure:
            _note(span, failure, _FAULTS)
            raise


def call_span(path: str, service: str) -> Span | None:
    """The span of a call of ours to `service`, begun now; None where nobody reads it."""
    return begun(path.strip("/"), SpanKind.CLIENT, attributes={**_method(path), "peer.service": service}) if exporting() else None


def ended(span: Span | None, failure: BaseException | None = None) -> None:
    """A call of ours has its answer, or none."""
    if span is not None:
        if failure is not None:
            _note(span, failure, None)
        span.end()


def _note(span: Span, failure: BaseException, faults: set[str] | None) -> None:
    """`faults`: the codes that are errors on this side; None: all."""
    if span.is_recording():
        code = code_of(failure) if isinstance(failure, PostlawError) else grpc.StatusCode.UNKNOWN
        span.set_attribute("rpc.grpc.status_code", _number(code))
        span.set_attribute("error.type", code.name)
        if faults is None or code.name in faults:
            span.set_status(StatusCode.ERROR)
