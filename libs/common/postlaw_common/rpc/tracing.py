"""W3C trace context (traceparent) into and out of calls. Without a tracer set up, a call that brings no trace costs nothing."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags

TRACEPARENT = "traceparent"
_tracer = trace.get_tracer("postlaw.rpc")


def outgoing() -> str:
    """The traceparent of the current span; empty where there is none."""
    span = trace.get_current_span().get_span_context()
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}" if span.is_valid else ""


def served_span(name: str, traceparent: str) -> AbstractContextManager[Span | None]:
    """The span of a call being served, below the caller's."""
    if not traceparent and isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return nullcontext()
    parent = _parsed(traceparent)
    context = trace.set_span_in_context(NonRecordingSpan(parent)) if parent else None
    return _tracer.start_as_current_span(name, context=context, kind=SpanKind.SERVER, record_exception=False)


def _parsed(traceparent: str) -> SpanContext | None:
    parts = traceparent.split("-")
    if len(parts) < 4 or len(parts[1]) != 32 or len(parts[2]) != 16:
        return None
    try:
        span = SpanContext(int(parts[1], 16), int(parts[2], 16), is_remote=True, trace_flags=TraceFlags(int(parts[3], 16)))
    except ValueError:
        return None
    return span if span.is_valid else None
