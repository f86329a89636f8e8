"""The whole mesh with telemetry read from memory: what somebody sees who follows one opt-out, and what the figures say of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan

from postlaw.consent.v1 import consent_pb2 as pb
from postlaw.consent.v1.consent_pb2_grpc import ConsentServiceStub
from postlaw_common.testing.mesh import Mesh, mesh
from postlaw_common.testing.patience import PATIENCE_S, patience
from postlaw_common.testing.promises import promise
from postlaw_common.testing.telemetry_memory import TelemetryMemory
from postlaw_mesh.builders import builders

ADDRESS = "ada.lovelace@example.org"
EVENTS, WATERMARKS = "postlaw.consent.events.v1", "postlaw.sending.watermarks.v1"
WITHDRAW = "postlaw.consent.v1.ConsentService/WithdrawByToken"
AWAIT = "postlaw.sending.v1.SendingService/AwaitStopped"


@pytest.fixture
async def whole(telemetry: TelemetryMemory, tmp_path: Path) -> AsyncIterator[Mesh]:
    async with mesh(tmp_path, list(builders().values())) as m:
        yield m


async def one_click(m: Mesh) -> str:
    """A person's own link, used as RFC 8058 has it. Returns the token."""
    consent = ConsentServiceStub(m.channel("consent", as_service="gateway", caller=m.caller("ten_1", ["consents:write"])))
    link = await consent.CreateOptOutLink(pb.CreateOptOutLinkRequest(address=ADDRESS, scope=pb.Scope(list_id="lst_1")))
    token = link.url.rpartition("/")[2]
    async with httpx.AsyncClient(base_url=m.http_url(), timeout=PATIENCE_S) as door:
        answer = await door.post(f"/u/{token}", data={"List-Unsubscribe": "One-Click"}, timeout=20)
    assert answer.status_code == 200
    assert answer.json()["outcome"] == "stopped"
    return token


async def within(telemetry: TelemetryMemory, name: str, trace_id: int) -> list[ReadableSpan]:
    """The spans of this name in that trace; waits for work that goes on after the answer."""
    async with patience():
        while True:
            found = [span for span in telemetry.named(name) if span.context is not None and span.context.trace_id == trace_id]
            if found:
                return found
            await asyncio.sleep(0.02)


@promise("S6")
async def test_a_one_click_opt_out_is_one_trace_from_the_door_to_the_watermark(whole: Mesh, telemetry: TelemetryMemory) -> None:
    await one_click(whole)
    [door] = telemetry.named("POST /u/{token}")
    assert door.parent is None
    assert door.context is not None
    trace_id = door.context.trace_id
    names = (WITHDRAW, f"publish {EVENTS}", "apply withdrawal", f"publish {WATERMARKS}", AWAIT)
    spans = {name: await within(telemetry, name, trace_id) for name in names}
    assert [name for name, found in spans.items() if not found] == []
    # Each call is there twice: as its caller saw it, and below that as it was served.
    for called in (WITHDRAW, AWAIT):
        client, server = sorted(spans[called], key=lambda span: span.kind.name)
        assert (client.kind.name, server.kind.name) == ("CLIENT", "SERVER")
        assert server.parent is not None
        assert client.context is not None
        assert server.parent.span_id == client.context.span_id
    # The worker hears of it by the record's own headers, and its watermark follows from that.
    [published], [applied], [marked] = spans[f"publish {EVENTS}"], spans["apply withdrawal"], spans[f"publish {WATERMARKS}"]
    assert applied.parent is not None
    assert published.context is not None
    assert applied.parent.span_id == published.context.span_id
    assert marked.parent is not None
    assert applied.context is not None
    assert marked.parent.span_id == applied.context.span_id


@promise("S6", "S10")
async def test_no_span_and_no_figure_names_a_person_a_customer_or_a_link(whole: Mesh, telemetry: TelemetryMemory) -> None:
    token = await one_click(whole)
    spans = " ".join(span.to_json() for span in telemetry.spans.get_finished_spans())
    figures = telemetry.metrics.get_metrics_data()
    assert figures is not None
    for hidden in (ADDRESS, "lovelace", token, "/u/A"):
        assert hidden not in spans
        assert hidden not in figures.to_json()
    assert "ten_1" not in figures.to_json()


@promise("S6", "S10")
async def test_a_request_is_traced_once_by_its_route_and_follows_no_strangers_trace(whole: Mesh, telemetry: TelemetryMemory) -> None:
    def requests() -> float:
        return telemetry.value("http.server.request.duration", http_request_method="GET") or 0

    before = requests()
    stranger = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "authorization": "Bearer pl_live_nobodys"}
    async with httpx.AsyncClient(base_url=whole.http_url(), headers=stranger, timeout=PATIENCE_S) as door:
        await door.get("/v1/subscribers/sub_lovelace?address=lovelace")
        await door.get("/nowhere/lovelace")
    served = [span for span in telemetry.spans.get_finished_spans() if span.name.startswith("GET")]
    assert [span.name for span in served] == ["GET /v1/subscribers/{subscriber_id}", "GET unmatched"]
    assert [span.parent for span in served] == [None, None]
    assert requests() == before + 2
    assert "lovelace" not in " ".join(span.to_json() for span in telemetry.spans.get_finished_spans())
    figures = telemetry.metrics.get_metrics_data()
    assert figures is not None
    assert "lovelace" not in figures.to_json()


@promise("S6")
async def test_the_figures_tell_of_an_opt_out(whole: Mesh, telemetry: TelemetryMemory) -> None:
    def answered() -> float:
        return telemetry.value("postlaw.consent.withdrawal.duration", outcome="stopped", route="one_click") or 0

    def requests() -> float:
        return telemetry.value("http.server.request.duration", http_route="/u/{token}", http_response_status_code=200) or 0

    def calls() -> float:
        return telemetry.value("rpc.server.duration", rpc_method="AwaitStopped", rpc_grpc_status_code=0) or 0

    before = answered(), requests(), calls()
    await one_click(whole)
    assert (answered(), requests(), calls()) == tuple(number + 1 for number in before)
    assert telemetry.value("messaging.client.operation.duration", messaging_destination_name=EVENTS)
    assert telemetry.value("db.client.operation.duration", db_namespace="consent", db_operation_name="insert")


@promise("S6")
async def test_what_the_mesh_holds_and_has_to_do_is_shown_while_it_runs(whole: Mesh, telemetry: TelemetryMemory) -> None:
    partitions = whole.running.backing.bus.partitions
    permitted: float | None = None
    shown: list[float | None] = [None]
    for _ in range(1200):
        permitted = telemetry.value("postlaw.sending.partitions.permitted")
        shown = [telemetry.value(f"postlaw.{name}") for name in ("consumer.lag", "audit.lag", "sending.jobs.waiting")]
        if permitted == partitions and None not in shown:
            break
        await asyncio.sleep(0.05)
    assert permitted == partitions
    assert telemetry.value("postlaw.sending.partitions.held") == partitions
    assert None not in shown
    for gauge in ("postlaw.sending.watermark.lag", "postlaw.sending.claims.open", "postlaw.sending.campaigns.sending"):
        assert telemetry.value(gauge) == 0
    age = telemetry.value("postlaw.audit.checkpoint.age")
    assert age is not None
    assert age >= 0


async def test_what_has_ended_is_shown_no_more(telemetry: TelemetryMemory, tmp_path: Path) -> None:
    async with mesh(tmp_path, [builders()["sending"]]), patience():
        while telemetry.value("postlaw.sending.campaigns.sending") != 0:
            await asyncio.sleep(0.02)
    assert telemetry.value("postlaw.sending.campaigns.sending") is None
    assert telemetry.value("postlaw.sending.partitions.held") is None
