"""Telemetry: log lines, traces and metrics, all behind the same sieve: no field classed confidential or restricted leaves.

`get_logger`, `tracer` and `meter` may be called at import time. `setup` is the runner's; without it, and without an endpoint,
spans and measurements go nowhere and cost next to nothing.
"""

from __future__ import annotations

from typing import Protocol

from opentelemetry import metrics, trace

from postlaw_common.telemetry.exporting import exporting
from postlaw_common.telemetry.failures import describe
from postlaw_common.telemetry.log import Logger, get_logger

__all__ = ["Logger", "TelemetrySettings", "describe", "exporting", "get_logger", "meter", "setup", "shutdown", "tracer"]


class TelemetrySettings(Protocol):
    """The part of the settings that telemetry reads. `otlp_endpoint`: "http://collector:4317", or empty for none."""

    @property
    def otlp_endpoint(self) -> str: ...

    @property
    def log_level(self) -> str: ...


def tracer(name: str) -> trace.Tracer:
    return trace.get_tracer(name)


def meter(name: str) -> metrics.Meter:
    return metrics.get_meter(name)


def setup(settings: TelemetrySettings, *, service: str) -> None:
    """Once a process, before anything runs. `service` names the process in traces: "consent", or "postlaw-dev" for all in one."""
    from postlaw_common.telemetry import export, log

    log.configure(settings.log_level)
    export.configure(service, settings.otlp_endpoint)


def shutdown() -> None:
    """Sends what is still waiting. Blocks for a few seconds at most, when the collector does not answer."""
    from postlaw_common.telemetry import export

    export.shutdown()
