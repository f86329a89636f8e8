"""Telemetry read from memory: one pair of providers for a whole test run, silent until a test switches them on.

OpenTelemetry takes each provider once a process, so they are set before anything else could; `memory` is the fixture's work.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from opentelemetry.context import Context
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes

from postlaw_common.telemetry.export import adopt
from postlaw_common.telemetry.exporting import exporting, switch


class _WhenRead(Sampler):
    """Records while a test reads."""

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        return SamplingResult(Decision.RECORD_AND_SAMPLE if exporting() else Decision.DROP)

    def get_description(self) -> str:
        return "when read"


@dataclass(slots=True)
class TelemetryMemory:
    """What was traced and measured. Metrics add up over a whole run: compare before and after."""

    spans: InMemorySpanExporter
    metrics: InMemoryMetricReader

    def named(self, name: str) -> list[ReadableSpan]:
        """Ended spans of this name, in the order of their ends."""
        return [span for span in self.spans.get_finished_spans() if span.name == name]

    def value(self, name: str, **attributes: str | int) -> float | None:
        """The sum over all points with these attributes (written with _ for each dot); of a histogram, the number of measurements."""
        wanted = {key.replace("_", "."): value for key, value in attributes.items()}
        found: list[float] = []
        data = self.metrics.get_metrics_data()
        for metric in (m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics) if data else ():
            if metric.name != name:
                continue
            for point in metric.data.data_points:
                has = {key.replace("_", "."): value for key, value in (point.attributes or {}).items()}
                if wanted.items() <= has.items():
                    found.append(point.value if isinstance(point, NumberDataPoint) else point.count)
        return sum(found) if found else None


_memory: list[TelemetryMemory] = []


def install() -> None:
    """Once a test run, before anything asks for a provider."""
    if not _memory:
        memory = TelemetryMemory(InMemorySpanExporter(), InMemoryMetricReader())
        tracers = TracerProvider(sampler=ParentBased(_WhenRead()))
        tracers.add_span_processor(SimpleSpanProcessor(memory.spans))
        adopt(tracers, MeterProvider([memory.metrics]))
        _memory.append(memory)


@contextmanager
def reading() -> Generator[TelemetryMemory]:
    """Telemetry is on within the block."""
    [memory] = _memory
    memory.spans.clear()
    switch(True)
    try:
        yield memory
    finally:
        switch(False)
        memory.spans.clear()
