"""What telemetry costs a process that exports nothing, and what the readings behind a gauge must keep to."""

from __future__ import annotations

import subprocess
import sys

from opentelemetry.trace import SpanKind

from postlaw_common.telemetry.gauges import Gauge
from postlaw_common.telemetry.spans import begun, outgoing, parsed, processing, sampled, span
from postlaw_common.testing.telemetry_memory import TelemetryMemory

IDS = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7"

QUIET = """
import sys
from postlaw_common import runner, telemetry
from postlaw_common.opening import Backing
from postlaw_common.settings import PlatformSettings
settings = PlatformSettings(otlp_endpoint=sys.argv[1])
telemetry.setup(settings, service="test")
Backing(settings, lambda name: None)
wanted = ("opentelemetry.exporter", "opentelemetry.sdk.metrics", "postlaw_common.bus.measured", "postlaw_common.store.measured")
print(telemetry.exporting(), *(any(name.startswith(one) for name in sys.modules) for one in wanted))
"""


def loaded(endpoint: str) -> str:
    words = [sys.executable, "-c", QUIET, endpoint]
    return subprocess.run(words, capture_output=True, text=True, check=True, env={"POSTLAW_STATE": "."}).stdout.strip()


def test_exporters_are_imported_only_where_a_collector_is_named() -> None:
    assert loaded("") == "False False False False False"
    assert loaded("http://127.0.0.1:9") == "True True True True True"


def test_where_nobody_reads_no_span_is_made() -> None:
    assert begun("work", SpanKind.CONSUMER) is None
    with span("work") as quiet, processing("work", [{"traceparent": f"{IDS}-01".encode()}], {}) as other:
        assert (quiet, other, outgoing()) == (None, None, "")


def test_a_gauge_joins_its_readings_and_forgets_those_that_ended(telemetry: TelemetryMemory) -> None:
    gauge = Gauge("postlaw.test.gauge", "{thing}", "for this test", max)

    def seen() -> list[float | None]:
        return [telemetry.value("postlaw.test.gauge", kind=kind) for kind in "abc"]

    forget = gauge.add(lambda: 3, kind="a")
    with gauge.shows(lambda: 5, kind="a"), gauge.shows(lambda: None, kind="b"), gauge.shows(lambda: 1, kind="c"):
        assert seen() == [5, None, 1]
    assert seen() == [3, None, None]
    forget()
    forget()
    assert seen() == [None, None, None]


def test_records_of_one_trace_are_handled_below_it_and_those_of_several_are_linked(telemetry: TelemetryMemory) -> None:
    other = IDS.replace("4bf9", "5bf9")
    with processing("one", [{"traceparent": f"{IDS}-01".encode()}] * 2, {}):
        pass
    with processing("several", [{"traceparent": f"{ids}-03".encode()} for ids in (IDS, other)], {}):
        pass
    with processing("unread", [{"traceparent": f"{IDS}-00".encode()}, {}], {}) as unread:
        assert unread is None
    [one], [several] = telemetry.named("one"), telemetry.named("several")
    theirs = parsed(f"{IDS}-01")
    assert theirs is not None
    assert one.parent is not None
    assert one.parent.span_id == theirs.span_id
    assert several.parent is None
    assert len({link.context.trace_id for link in several.links}) == 2


def test_a_trace_is_read_by_its_lowest_flag_and_what_is_no_traceparent_is_none() -> None:
    assert [sampled(f"{IDS}-{flags}") for flags in ("00", "01", "02", "03", "0b")] == [False, True, False, True, True]
    assert [sampled(f"{IDS}-{flags}".encode()) for flags in ("00", "03")] == [False, True]
    assert not sampled("")
    for wrong in ("", "00", "00-zz-yy-01", f"00-{'0' * 32}-{'1' * 16}-01", f"00-{'g' * 32}-{'1' * 16}-01"):
        assert parsed(wrong) is None, wrong
    assert parsed(f"{IDS}-01") is not None
