"""What is exported is OCSF 1.3.0 as its schema has it, of every event that there is, and of a log that is whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw.identity.v1 import identity_pb2 as identity
from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_audit.commands import audit as commands
from postlaw_audit.ocsf.mapping import LONGEST, VERSION, mapped, ocsf_of
from postlaw_audit.search.about import event_messages
from postlaw_audit.search.events import Event
from postlaw_common.testing.promises import promise
from services.audit.tests.logs_made import write_log

HERE = Path(__file__).parent
GOLDEN = HERE / "golden" / "ocsf.jsonl"
DOCS = Path(__file__).parents[3] / "docs" / "ocsf.md"
SCHEMA: dict[str, Any] = json.loads((HERE / "data" / "ocsf-1.3.0.json").read_text())
KINDS = {"string_t": str, "integer_t": int, "long_t": int, "timestamp_t": int, "object_t": dict, "port_t": int}


def event(type: str, data: bytes = b"", index: int = 7, **context: str) -> Event:
    entry = audit.Entry(
        topic="postlaw.x.v1", partition=3, offset=9, event_id="evt_1", type=type, tenant_id="ten_1", sequence=2, subject="key_1",
        context=context, data=data, time_us=1_900_000_000_250_000, event_time_us=1_900_000_000_123_456,
    )  # fmt: skip
    return Event(index, entry, data, [entry.SerializeToString()])


SAMPLES = [
    event("postlaw.identity.ApiKeyCreated", identity.ApiKeyCreated(api_key=identity.ApiKey(api_key_id="key_1")).SerializeToString(),
          actor="api_key:key_9", on_behalf_of="ada", network="192.0.2.0/24", request="req_1", traceparent="00-aa-bb-01"),
    event("postlaw.gateway.PersonalDataRead", audit.PersonalDataRead(operation="subscribers.GetSubscriber").SerializeToString(),
          actor="api_key:key_9", network="192.0.2.0/24"),
    event("postlaw.gateway.AccessRefused", audit.AccessRefused(kind="unknown_key", method="consent.ListConsentEvents").SerializeToString()),
    event("postlaw.sending.SenderDomainChanged", sending.SenderDomainChanged(domain="acme.example").SerializeToString()),
    event("postlaw.sending.BatchSettled", sending.BatchSettled(subscriber_ids=["sub"] * (LONGEST + 1)).SerializeToString(),
          actor="service:sending"),
]  # fmt: skip


def faults(value: Any, of: dict[str, Any], at: str, profiles: list[str]) -> list[str]:
    """What of an event, or of an object in it, is not as OCSF's schema has it."""
    attributes = {name: one for name, one in of["attributes"].items() if one.get("profile") in (None, *profiles)}
    found = [f"{at}.{name}: unknown" for name in value if name not in attributes]
    found += [f"{at}.{name}: required" for name, one in attributes.items() if one["requirement"] == "required" and name not in value]
    if (some := of["constraints"].get("at_least_one")) and not {*some} & {*value}:
        found.append(f"{at}: one of {some}")
    for name, one in value.items():
        wanted = attributes.get(name, {"type": "object_t", "object_type": "object"})
        items = one if wanted.get("is_array") else [one]
        for item in items:
            if type(item) is not KINDS[wanted["type"]]:
                found.append(f"{at}.{name}: {item!r} is no {wanted['type']}")
            elif "enum" in wanted and str(item) not in wanted["enum"]:
                found.append(f"{at}.{name}: {item!r} is none of {wanted['enum']}")
            elif wanted.get("object_type", "object") != "object":
                found += faults(item, SCHEMA["objects"][wanted["object_type"]], f"{at}.{name}", profiles)
    return found


def checked(told: dict[str, Any]) -> list[str]:
    [of] = [one for one in SCHEMA["classes"].values() if one["uid"] == told["class_uid"]]
    same = told["type_uid"] == told["class_uid"] * 100 + told["activity_id"] and told["category_uid"] == told["class_uid"] // 1000
    return [*faults(told, of, "event", told["metadata"].get("profiles", [])), *([] if same else ["type_uid or category_uid"])]


@promise("A1")
@pytest.mark.parametrize("type", [*event_messages(), "", "com.example.Other", "nonsense"])
def test_every_event_is_one_of_ocsf_with_all_that_its_class_requires(type: str) -> None:
    for one in (event(type), event(type, b"\xff\xff"), event(type, actor="api_key:key_9", network="192.0.2.0/24", request="req_1")):
        assert checked(ocsf_of(one)) == []


def test_what_is_not_ocsf_is_seen() -> None:
    for change in ({"activity_id": 77}, {"time": "now"}, {"actor": {}}, {"more": 1}, {"metadata": {"version": VERSION}}):
        assert checked(ocsf_of(SAMPLES[1]) | change), change
    assert checked({name: value for name, value in ocsf_of(SAMPLES[1]).items() if name != "api"}) == ["event.api: required"]


def test_the_form_is_the_golden_one() -> None:
    assert SCHEMA["version"] == VERSION
    assert [json.loads(line) for line in GOLDEN.read_text().splitlines()] == [ocsf_of(one) for one in SAMPLES]
    assert all(checked(ocsf_of(one)) == [] for one in SAMPLES)


def test_the_page_says_how_each_event_is_mapped() -> None:
    rows = [line for line in DOCS.read_text().splitlines() if line.startswith("| `postlaw.")]
    mappings = ((type, mapped(type)) for type in sorted(event_messages()))
    assert rows == [f"| `{type}` | {one.of.name} {one.of.uid} | {one.activity} {one.activity_id} |" for type, one in mappings]


def run(*words: str) -> Result:
    return CliRunner().invoke(commands, ["export", "--ocsf", *words])


@promise("A1", "A3")
def test_a_log_is_exported_line_by_line_and_one_that_is_not_whole_is_told_at_the_end(tmp_path: Path) -> None:
    log = tmp_path / "log"
    pieces = [audit.Entry(event_id="evt_whole", type="postlaw.x.Y", data=b"ab", context={"part": f"{n}/2"}) for n in (1, 2)]
    entries = [
        *(event("postlaw.gateway.PersonalDataRead", index=n).pieces[0] for n in range(300)),
        *(one.SerializeToString() for one in pieces),
    ]
    write_log(log, entries)
    lines = [json.loads(line) for line in run(str(log)).stdout.splitlines()]
    assert len(lines) == 301
    assert [line["unmapped"]["index"] for line in lines] == [*range(300), 301]
    assert [checked(line) for line in lines if checked(line)] == []
    assert len(run(str(log), "--since", "290").stdout.splitlines()) == 11
    assert len(run(str(log), "--tenant", "ten_1").stdout.splitlines()) == 300
    bundle = next((log / "tile" / "entries").glob("000"))
    bundle.write_bytes(bundle.read_bytes().replace(b"key_1", b"key_2", 1))
    damaged = run(str(log))
    assert (damaged.exit_code, damaged.stderr[:10]) == (1, "NOT VALID:")
    for nothing in (b"\xff\xff", audit.Entry(data=b"\xff", context={"part": "2/2"}).SerializeToString()[:-1]):
        write_log(tmp_path / "other", [*entries[:2], nothing])
        other = run(str(tmp_path / "other"))
        assert (other.exit_code, len(other.stdout.splitlines()), other.stderr) == (1, 2, "NOT VALID: entry 2 is no entry of ours\n")
    assert run(str(tmp_path / "nothing")).exit_code == 3
    assert CliRunner().invoke(commands, ["export", str(log)]).exit_code == 2
