from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from postlaw_common import dlq
from postlaw_common.bus import Bus, Received, Record, Topic, open_bus
from postlaw_common.dlq_commands import dlq as commands
from postlaw_common.testing.promises import promise

TOPIC = "postlaw.consent.events.v1"
HEADERS = {"ce_id": b"evt_1", "ce_type": b"postlaw.consent.ConsentWithdrawn", "ce_subject": b"per_1", "ce_tenant": b"ten_1"}


def opened(state: Path) -> Bus:
    return open_bus("embedded:", state=str(state), partitions=4)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation with two letters, one in each of two partitions, and one record in the topic itself."""
    monkeypatch.setenv("POSTLAW_STATE", str(tmp_path))
    monkeypatch.setenv("POSTLAW_PARTITIONS", "4")

    async def park() -> None:
        bus = opened(tmp_path)
        await bus.start()
        await bus.ensure_topics([Topic(TOPIC), dlq.topic_of(TOPIC)])
        for partition in (1, 3):
            received = Received(TOPIC, partition, 17, b"ada@example.org", b"k", HEADERS, 0)
            letter = dlq.letter(received, reason="ValueError (at wire.py:7 in parse)", attempts=5, consumer="audit", partitions=4)
            await bus.publish([letter])
        await bus.publish([Record(TOPIC, 1, b"other")])
        await bus.close()

    asyncio.run(park())
    return tmp_path


def run(*args: str) -> Result:
    result = CliRunner().invoke(commands, args)
    assert "ada@" not in result.output
    return result


def names(result: Result) -> list[str]:
    return [json.loads(line)["letter"] for line in result.stdout.splitlines()]


def test_a_list_names_every_letter_and_its_reason(state: Path):
    result = run("list", "--json")
    assert result.exit_code == 0
    assert names(result) == [f"{TOPIC}/1/0", f"{TOPIC}/3/0"]
    line = json.loads(result.stdout.splitlines()[0])
    assert (line["topic"], line["partition"], line["offset"], line["event_id"]) == (TOPIC, 1, 17, "evt_1")
    assert (line["consumer"], line["attempts"], line["reason"]) == ("audit", 5, "ValueError (at wire.py:7 in parse)")
    assert "ValueError" in run("list").output


@promise("S10")
def test_a_letter_is_shown_without_its_payload(state: Path):
    result = run("show", f"{TOPIC}/3/0")
    assert result.exit_code == 0
    assert "evt_1" in result.output
    assert json.loads(run("show", "--json", f"{TOPIC}/3/0").stdout)["size"] == len(b"ada@example.org")


def test_a_letter_goes_back_to_where_it_came_from_once(state: Path):
    assert run("replay", f"{TOPIC}/1/0").exit_code == 0
    assert names(run("list", "--json")) == [f"{TOPIC}/3/0"]
    assert names(run("list", "--json", "--all")) == [f"{TOPIC}/1/0", f"{TOPIC}/3/0"]
    refused = run("replay", f"{TOPIC}/3/0", f"{TOPIC}/1/0")
    assert refused.exit_code == 4
    assert names(run("list", "--json")) == [f"{TOPIC}/3/0"]
    assert run("replay", "--again", f"{TOPIC}/1/0").exit_code == 0

    async def read() -> list[Received]:
        bus = opened(state)
        await bus.start()
        records = await bus.read_range(TOPIC, 1, 0, 100)
        await bus.close()
        return records

    _, first, second = asyncio.run(read())
    assert first.value == second.value == b"ada@example.org"
    assert first.headers == {**HEADERS, dlq.CONSUMER: b"audit"}


def test_what_cannot_be_done_has_an_exit_code_and_one_clear_line(state: Path):
    for args, code in ((("show", f"{TOPIC}/2/0"), 3), (("replay", f"{TOPIC}/1/9"), 3), (("show", "nonsense"), 2)):
        assert run(*args).exit_code == code


def test_the_embedded_bus_asks_for_the_running_mesh_to_be_stopped(state: Path):
    async def beside() -> Result:
        bus = opened(state)
        await bus.start()
        try:
            return await asyncio.to_thread(run, "list")
        finally:
            await bus.close()

    result = asyncio.run(beside())
    assert result.exit_code == 1
    assert "stop `postlaw dev` first" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_every_command_helps_with_an_example():
    for command in ("list", "show", "replay"):
        assert f"postlaw dlq {command}" in run(command, "--help").output
