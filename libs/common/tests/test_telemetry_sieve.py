from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from postlaw.identity.v1 import identity_pb2
from postlaw.subscribers.v1 import subscribers_pb2
from postlaw_common import errors
from postlaw_common.caller import Actor, Caller, acting_as
from postlaw_common.telemetry import get_logger, log
from postlaw_common.telemetry.classified import withheld_names
from postlaw_common.telemetry.export import SievedSpans
from postlaw_common.telemetry.failures import describe
from postlaw_common.testing.promises import promise

ADDRESS = "ada.lovelace@example.org"
SECRET = "pl_live_abcdefgh_verysecret"


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]):
    def read() -> list[dict[str, Any]]:
        text = capsys.readouterr().err
        assert "lovelace" not in text.lower()
        assert "verysecret" not in text
        return [json.loads(line) for line in text.splitlines()]

    return read


@promise("S10")
def test_every_field_classed_confidential_or_restricted_is_withheld_by_its_name(lines: Any):
    assert {"address", "secret", "token", "filename"} <= withheld_names()
    fields = dict.fromkeys(withheld_names(), "Lovelace")
    get_logger("t").bind(address="Ada Lovelace").info("seen", kept=1, **fields)
    (line,) = lines()
    assert line["kept"] == 1
    assert set(line["withheld"]) == withheld_names()


@promise("S10")
def test_a_message_passed_whole_shows_only_the_fields_it_may(lines: Any):
    answer = identity_pb2.CreateApiKeyResponse(api_key=identity_pb2.ApiKey(api_key_id="key_1", scopes=["a", "b"]), secret=SECRET)
    get_logger("t").info("made", answer=answer, nested={"deep": [answer]})
    (line,) = lines()
    assert line["answer"] == {"api_key": {"api_key_id": "key_1", "scopes": ["a", "b"]}}
    assert line["nested"] == {"deep": [line["answer"]]}


@promise("S10")
def test_personal_data_in_a_map_in_bytes_in_a_dataclass_or_in_an_unknown_object_is_withheld(lines: Any):
    @dataclass
    class Person:
        id: str
        address: str

    class Odd:
        def __repr__(self) -> str:
            return "Ada Lovelace"

    request = subscribers_pb2.PutSubscriberRequest(address=ADDRESS, fields={"name": "Lovelace"})
    get_logger("t").info("seen", request=request, raw=b"Lovelace", person=Person("sub_1", ADDRESS), odd=Odd())
    (line,) = lines()
    assert line["person"] == {"id": "sub_1"}
    assert (line["raw"], line["odd"]) == ("<8 bytes>", "<Odd>")


@promise("S10")
def test_an_address_inside_any_text_is_withheld_by_its_looks(lines: Any):
    get_logger("t").info(f"could not read {ADDRESS}", row=f"1,<{ADDRESS}>,x", at="postlaw.consent.events.v1[3]@17")
    (line,) = lines()
    assert line["event"] == "could not read [withheld]"
    assert line["at"] == "postlaw.consent.events.v1[3]@17"


@promise("S10")
def test_an_exception_never_takes_its_arguments_or_its_local_values_along(lines: Any):
    answer = identity_pb2.CreateApiKeyResponse(secret=SECRET)

    class Broken(Exception):
        pass

    Broken.__module__ = "postlaw_test"
    for failure in (
        ValueError("Ada Lovelace"),
        KeyError("Lovelace"),
        Broken(answer, ADDRESS),
        ExceptionGroup("Lovelace", [ValueError(answer)]),
    ):
        try:
            lovelace = failure
            raise lovelace from ValueError("Lovelace")
        except Exception as caught:
            get_logger("t").exception("failed", reason=caught, group=[caught])
            assert "ovelace" not in describe(caught).replace("test_an", "")
    shown = lines()
    assert shown[0]["failure"]["type"] == "ValueError"
    assert "text" not in shown[0]["failure"]
    assert shown[2]["failure"]["text"] == "{}, [withheld]"


def test_a_failure_of_our_own_keeps_its_words(lines: Any):
    assert describe(errors.NotFound("There is no campaign cmp_1.")) == "NotFound: There is no campaign cmp_1."


def test_a_group_of_failures_is_told_by_its_members(lines: Any):
    gone = errors.Unavailable("The bus is of another generation.")
    failed = ExceptionGroup("unhandled errors in a TaskGroup", [ExceptionGroup("inner", [gone, ValueError("ada@example.com")]), gone])
    assert describe(failed) == "Unavailable: The bus is of another generation.; ValueError"


@promise("S10")
def test_what_a_library_logs_goes_through_the_same_sieve(lines: Any):
    log.configure("info")
    logging.getLogger("aiokafka").warning("cannot send %s to node %d", ADDRESS, 4)
    logging.getLogger("asyncio").error("Task exception was never retrieved\nfuture: <Task exception=ValueError('Lovelace')>")
    logging.getLogger("odd").error(f"{ADDRESS} failed", exc_info=ValueError("Lovelace"))
    logging.getLogger("uvicorn.access").warning("GET /u/verysecret")
    shown = lines()
    assert [line["event"] for line in shown] == [
        "cannot send [withheld] to node 4",
        "Task exception was never retrieved",
        "[withheld] failed",
    ]


def test_a_line_names_tenant_and_actor_of_the_call(lines: Any):
    with acting_as(Caller("ten_1", Actor("api_key", "key_1"))):
        get_logger("t").info("seen")
    (line,) = lines()
    assert (line["tenant_id"], line["actor"]) == ("ten_1", "api_key:key_1")


@promise("S10")
def test_a_span_leaves_without_classified_attributes_and_exception_texts():
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(SievedSpans(kept)))
    with pytest.raises(ValueError), provider.get_tracer("t").start_as_current_span("read") as span:
        span.set_attributes({"person.address": ADDRESS, "note": f"from {ADDRESS}", "rows": 3})
        raise ValueError("Ada Lovelace")
    (exported,) = kept.get_finished_spans()
    assert exported.attributes == {"note": "from [withheld]", "rows": 3}
    assert "ovelace" not in exported.to_json()
