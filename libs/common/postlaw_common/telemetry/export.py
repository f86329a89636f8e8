"""OpenTelemetry's SDK: trace and span ids always, exporters only when an endpoint is configured, attributes behind the sieve."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opentelemetry import metrics, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased
from opentelemetry.util.types import Attributes

from postlaw_common.telemetry.classified import loggable, loggable_text, withheld_names
from postlaw_common.telemetry.exporting import switch

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import MeterProvider

EVERY_S = 10  # between two exports of metrics: an alert must not wait a minute for its first number
EXPORT_S = 2  # a collector that is away must hold up neither the work nor the end of the process


@dataclass(slots=True)
class _Providers:
    """OpenTelemetry takes each provider once a process."""

    chosen: bool = False
    tracers: TracerProvider | None = None
    meters: MeterProvider | None = None


_providers = _Providers()


class SievedSpans(SpanExporter):
    """Hands spans on without classified attributes and without the texts of exceptions, which may quote anything."""

    def __init__(self, onward: SpanExporter) -> None:
        self._onward = onward

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._onward.export([_sieved(span) for span in spans])

    def shutdown(self) -> None:
        self._onward.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._onward.force_flush(timeout_millis)


def configure(service: str, endpoint: str) -> None:
    """A second call in one process (tests do that) changes nothing."""
    if _providers.chosen:
        return
    _providers.chosen = True
    instance = f"{socket.gethostname()}-{os.getpid()}"  # else two workers would overwrite each other's numbers
    resource = Resource.create({"service.name": service, "service.namespace": "postlaw", "service.instance.id": instance})
    if not endpoint:
        # Nobody would read the spans: ids alone are made, for log lines and events. Metrics need no provider at all.
        _providers.tracers = TracerProvider(resource=resource, sampler=ALWAYS_OFF)
        trace.set_tracer_provider(_providers.tracers)
        return

    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    insecure = not endpoint.startswith("https://")
    _providers.tracers = TracerProvider(resource=resource, sampler=ParentBased(ALWAYS_ON), shutdown_on_exit=False)
    _providers.tracers.add_span_processor(
        BatchSpanProcessor(SievedSpans(OTLPSpanExporter(endpoint=endpoint, insecure=insecure, timeout=EXPORT_S)))
    )
    trace.set_tracer_provider(_providers.tracers)
    exporter = OTLPMetricExporter(endpoint=endpoint, insecure=insecure, timeout=EXPORT_S)
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=EVERY_S * 1000)
    _providers.meters = MeterProvider(resource=resource, metric_readers=[reader], shutdown_on_exit=False)
    metrics.set_meter_provider(_providers.meters)
    switch(True)


def adopt(tracers: TracerProvider, meters: MeterProvider) -> None:
    """Providers of somebody else's (a test's), who also ends them; `configure` then changes nothing any more."""
    _providers.chosen = True
    trace.set_tracer_provider(tracers)
    metrics.set_meter_provider(meters)


def shutdown() -> None:
    """Once, at the end of the process: what is still waiting is sent, or given up after `EXPORT_S` each."""
    for provider in (_providers.tracers, _providers.meters):
        if provider is not None:
            provider.shutdown()


def _sieved(span: ReadableSpan) -> ReadableSpan:
    events = [Event(event.name, _attributes(event.attributes), event.timestamp) for event in span.events]
    status = span.status if not span.status.description else trace.Status(span.status.status_code)
    return ReadableSpan(
        name=loggable_text(span.name),
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=_attributes(span.attributes),
        events=events,
        links=span.links,
        kind=span.kind,
        instrumentation_scope=span.instrumentation_scope,
        status=status,
        start_time=span.start_time,
        end_time=span.end_time,
    )


def _attributes(attributes: Attributes) -> Attributes:
    """`campaign.subject` is judged by its last part. The SDK's own record of an exception keeps its type alone."""
    return {
        name: loggable(value)
        for name, value in (attributes or {}).items()
        if name.rpartition(".")[2] not in withheld_names() and name not in ("exception.message", "exception.stacktrace")
    }
