"""ASGI around everything: the span that a request's trace begins with, and its duration by route and status.

A trace begins at the door: a traceparent from outside is not taken, since anybody could name any. A path never leaves this
process, for it holds ids and opt-out tokens: the route's template stands for it.
"""

from __future__ import annotations

import time
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from postlaw_common.telemetry import meter

ROUTE = "postlaw.route"  # in the scope, set by whoever answers

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})
_tracer = trace.get_tracer("postlaw.gateway")
_duration = meter("postlaw.gateway").create_histogram(
    "http.server.request.duration",
    unit="s",
    description="Requests, by route and status",
    explicit_bucket_boundaries_advisory=[0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10],
)


class Observed:
    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        status = 499  # nobody was there any more to be answered
        began = time.perf_counter()

        async def watched(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with _tracer.start_as_current_span(method, kind=SpanKind.SERVER, record_exception=False, set_status_on_exception=False) as span:
            try:
                await self._app(scope, receive, watched)
            except Exception:
                status = 500  # also where a good status was sent before it broke off
                raise
            finally:
                route = scope.get(ROUTE, "unmatched")
                about = {"http.request.method": method, "http.route": route, "http.response.status_code": status}
                _duration.record(time.perf_counter() - began, about)
                if span.is_recording():
                    span.update_name(f"{method} {route}")
                    span.set_attributes(about)
                    if status >= 500:
                        span.set_status(StatusCode.ERROR)
