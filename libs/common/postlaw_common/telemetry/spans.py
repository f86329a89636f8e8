"""W3C trace context (traceparent) into and out of calls and records, and spans that cost nothing where nobody reads them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags

from postlaw_common.telemetry.exporting import exporting

TRACEPARENT = "traceparent"
LINKS = 32  # traces that the span of a batch names, at most

_ODD = frozenset("13579bdf") | frozenset(bytes([c]) for c in b"13579bdf")

_tracer = trace.get_tracer("postlaw")


def outgoing() -> str:
    """The traceparent of the current span; empty where there is none."""
    return written(trace.get_current_span())


def written(span: Span) -> str:
    """A span's traceparent; empty where it has none."""
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}" if context.is_valid else ""


def parsed(traceparent: str) -> SpanContext | None:
    """None for what is no traceparent."""
    parts = traceparent.split("-")
    if len(parts) < 4 or len(parts[1]) != 32 or len(parts[2]) != 16:
        return None
    try:
        span = SpanContext(int(parts[1], 16), int(parts[2], 16), is_remote=True, trace_flags=TraceFlags(int(parts[3], 16)))
    except ValueError:
        return None
    return span if span.is_valid else None


def sampled(traceparent: str | bytes) -> bool:
    """Whether somebody reads the trace: the lowest flag (the next one says how its id was made)."""
    return traceparent[-1:] in _ODD


def below(traceparent: str) -> Context | None:
    """The context in which a span begins below the one that was sent along; None: below the current one, if any."""
    parent = parsed(traceparent) if traceparent else None
    return trace.set_span_in_context(NonRecordingSpan(parent)) if parent else None


def span(
    name: str, kind: SpanKind = SpanKind.INTERNAL, *, parent: str = "", attributes: Mapping[str, str | int] | None = None
) -> AbstractContextManager[Span | None]:
    """The current span for the length of a block. None, at no cost, where nobody reads it."""
    if not exporting():
        return nullcontext()
    return _tracer.start_as_current_span(name, context=below(parent), kind=kind, attributes=attributes, record_exception=False)


def begun(name: str, kind: SpanKind, *, parent: str = "", attributes: Mapping[str, str | int] | None = None) -> Span | None:
    """A span for work that no block encloses; whoever began it calls `end`. None where nobody reads it."""
    if not exporting():
        return None
    return _tracer.start_span(name, context=below(parent), kind=kind, attributes=attributes)


def processing(
    name: str, headers: Iterable[Mapping[str, bytes]], attributes: Mapping[str, str | int]
) -> AbstractContextManager[Span | None]:
    """The span of handling records with these headers: below their trace where they share one, else linked with their traces.
    None where none of them is part of a trace that is read."""
    if not exporting():
        return nullcontext()
    traces = {value.decode("ascii", "replace"): None for one in headers if (value := one.get(TRACEPARENT)) and sampled(value)}
    if not traces:
        return nullcontext()
    if len(traces) == 1:
        return span(name, SpanKind.CONSUMER, parent=next(iter(traces)), attributes=attributes)
    links = [Link(context) for text in list(traces)[:LINKS] if (context := parsed(text)) is not None]
    return _tracer.start_as_current_span(
        name, context=Context(), kind=SpanKind.CONSUMER, links=links, attributes=attributes, record_exception=False
    )
