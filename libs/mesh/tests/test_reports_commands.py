"""`postlaw report` as a compliance officer and an operator type it, and what their webhook is told, over a mesh that runs."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from postlaw_audit.notes import open_note, parse_verifier_key
from postlaw_audit.reports.gathering import Gathering
from postlaw_common.errors import Unavailable
from postlaw_common.settings import PlatformSettings
from postlaw_common.testing.patience import patience
from postlaw_common.testing.promises import promise
from postlaw_mesh.command import main
from postlaw_mesh.dev import Ready, development_mesh, relay_on_loopback
from postlaw_mesh.first_use import credentials
from postlaw_mesh.rest_client import client
from services.audit.tests.reported import Customer as Reporting
from services.audit.tests.reported import auditing, key_made, put
from services.sending.tests.campaigns.test_webhooks import Customer, serving

COMMANDS = (
    "make", "list", "get", "cancel", "verify", "sub-processors", "sub-processors put", "sub-processors remove", "sub-processors list",
)  # fmt: skip


@dataclass
class Officer:
    """Somebody's shell. `other`: the key of another customer; `hook`: the server of this one's webhook."""

    ready: Ready
    other: str
    state: Path
    hook: Customer

    async def says(self, *words: str, key: str | None = None) -> Result:
        env = {"POSTLAW_API_KEY": key or self.ready.api_key, "POSTLAW_PUBLIC_URL": self.ready.gateway, "POSTLAW_STATE": str(self.state)}
        return await asyncio.to_thread(CliRunner().invoke, main, ["report", *words], env=env)

    async def said(self, *words: str, key: str | None = None) -> list[Any]:
        """What a command that ends well says with --json."""
        done = await self.says(*words, "--json", key=key)
        assert done.exit_code == 0, done.output
        return [json.loads(line) for line in lines(done)]


def lines(done: Result) -> list[str]:
    """Without what the services of this process log meanwhile."""
    return [line for line in done.output.splitlines() if not line.startswith('{"logger"')]


@asynccontextmanager
async def officer(tmp_path: Path) -> AsyncGenerator[Officer]:
    state, elsewhere = tmp_path / "state", tmp_path / "other"
    elsewhere.mkdir()
    settings = PlatformSettings(state=state, http_port={"gateway": 0, "inbox": 0})
    sending = relay_on_loopback("127.0.0.1", 9).model_copy(update={"webhooks_into_our_network": "allow"})
    async with serving() as hook, development_mesh(settings, sending) as (running, ready):
        async with client(ready.gateway, ready.api_key) as api:
            await api.call("POST", "/v1/webhooks", json={"url": f"http://127.0.0.1:{hook.port}/hook", "event_types": ["report.ready"]})
        yield Officer(ready, (await credentials(running, elsewhere)).api_key, state, hook)


@promise("A2", "A3", "X7")
async def test_a_report_is_made_told_by_webhook_listed_and_verified_and_is_nobody_elses(tmp_path: Path) -> None:
    async with officer(tmp_path) as ann:
        assert await ann.said("list") == []
        to = tmp_path / "reports"
        (made,) = await ann.said("make", "api_keys", "--seed", "7", "--to", str(to))
        id, files = made["report_id"], to / made["report_id"]
        assert {path.name for path in files.iterdir()} >= {"report.csv", "report.html", "report.json", "report.note"}
        assert await ann.said("list") == await ann.said("get", id) == [made]
        (line,) = lines(await ann.says("list"))
        assert line.startswith(f"{id}  api_keys  done 100 %") and line.endswith("unwitnessed")
        assert lines(await ann.says("get", id, "--to", str(tmp_path / "again")))[0] == line
        assert (tmp_path / "again" / id / "report.csv").read_bytes() == (files / "report.csv").read_bytes()

        async with client(ann.ready.gateway, ann.ready.api_key) as api:
            key = (await api.call("GET", "/v1/audit/checkpoint"))["verifier_key"]
        async with patience():
            while not ann.hook.taken:
                await asyncio.sleep(0.02)
        told = json.loads(ann.hook.taken[0][1])
        assert (told["type"], told["data"]["kind"], told["data"]["report_id"]) == ("report.ready", "api_keys", id)
        assert told["data"]["note"] == (files / "report.note").read_text() and told["data"]["links"] == made["links"]
        assert (told["data"]["since"], told["data"]["until"]) == (made["since"], made["until"])
        assert open_note(told["data"]["checkpoint"], *parse_verifier_key(key)).size == int(made["checkpoint"]["size"])

        for more in (["--key", key], []):  # what lies beside the log
            (found,) = await ann.said("verify", str(files), *more)
            assert (found["verified"], found["report_id"], found["made_again"]) == (True, id, False)
        assert (await ann.said("verify", str(files), "--log", str(ann.state / "blobs" / "objects" / "audit")))[0]["made_again"]
        (files / "report.csv").write_text("")
        wrong = await ann.says("verify", str(files), "--key", key, "--json")
        assert (wrong.exit_code, json.loads(lines(wrong)[0])["reason"]) == (1, "report.csv is not the file that was signed")

        ended = await ann.says("cancel", id)
        assert ended.exit_code == 1 and "This report is done already." in ended.output
        assert await ann.said("list", key=ann.other) == []
        for act in ("get", "cancel"):
            for nobodys in (await ann.says(act, id, key=ann.other), await ann.says(act, "rep_none")):
                assert nobodys.exit_code == 1 and "404 " in nobodys.output and "There is no such report." in nobodys.output
        strange = await ann.says("get", "../lists")
        assert strange.exit_code == 1 and "/v1/reports/..%2Flists: 404" in strange.output
        for words in (("make", "everything"), ("verify", str(tmp_path / "nowhere")), ("get",)):
            assert (await ann.says(*words)).exit_code == 2
        assert len(ann.hook.taken) == 1


@promise("A2")
async def test_a_report_that_is_being_made_is_cancelled_and_make_says_so_by_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any) -> Any:
        raise Unavailable("The index is away.")

    monkeypatch.setattr(Gathering, "next_page", away)
    async with officer(tmp_path) as ann:
        make = (sys.executable, "-m", "postlaw_mesh", "report", "make", "api_keys", "--url", ann.ready.gateway)
        making = await asyncio.create_subprocess_exec(
            *make, stdout=asyncio.subprocess.PIPE, env=os.environ | {"POSTLAW_API_KEY": ann.ready.api_key}
        )
        async with patience():
            while not (found := await ann.said("list")):
                await asyncio.sleep(0.05)
        (cancelled,) = await ann.said("cancel", found[0]["report_id"])
        assert cancelled["state"] == "cancelled" == (await ann.said("cancel", cancelled["report_id"]))[0]["state"]
        output, _ = await making.communicate()
        assert making.returncode == 3 and b"  cancelled " in output
        assert ann.hook.taken == []


@promise("A2", "G10")
async def test_the_register_of_sub_processors_is_kept_from_a_shell(tmp_path: Path) -> None:
    async with officer(tmp_path) as ann:
        assert await ann.said("sub-processors", "list") == []
        cloud = ("sub-processors", "put", "Example Cloud", "--purpose", "hosting", "--location", "DE")
        (put,) = await ann.said(*cloud, "--data", "all")
        assert put == {"name": "Example Cloud", "purpose": "hosting", "location": "DE", "data": "all", "version": 1}
        assert lines(await ann.says(*cloud)) == ["Example Cloud  DE  hosting"]
        await ann.said("sub-processors", "put", "A Relay", "--purpose", "mail", "--location", "FR")
        assert [one["name"] for one in await ann.said("sub-processors", "list")] == ["A Relay", "Example Cloud"]
        async with patience():  # the log has a change within a second
            while (made := (await ann.said("make", "sub_processors"))[0])["events"] < 3:
                await asyncio.sleep(0.1)
        assert (made["rows"], made["events"]) == (2, 3)
        (removed,) = await ann.said("sub-processors", "remove", "A Relay")
        assert removed["location"] == "FR"
        for words in (("remove", "A Relay"), ("remove", "Nobody")):
            gone = await ann.says("sub-processors", *words)
            assert gone.exit_code == 1 and "The register has no such sub-processor." in gone.output
        assert lines(await ann.says("sub-processors", "list")) == ["Example Cloud  DE  hosting"]
        assert (await ann.says("sub-processors", "put", "X")).exit_code == 2
    away = await ann.says("sub-processors", "list")
    assert away.exit_code == 1 and "audit cannot be asked" in away.output and len(lines(away)) == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_shows_an_example_of_itself_and_its_exit_codes(command: str) -> None:
    shown = CliRunner().invoke(main, ["report", *command.split(), "--help"])
    assert shown.exit_code == 0 and f"Example:\n    postlaw report {command}" in shown.output and "Exit codes: 0 " in shown.output


@promise("A2", "A3")
async def test_a_report_of_before_the_logs_key_was_followed_verifies_where_the_log_is_at_hand(tmp_path: Path) -> None:
    state, files = tmp_path / "state", tmp_path / "report"
    files.mkdir()
    async with auditing(state) as running:
        await put(running, [key_made("key_1", "shop")])
        customer = Reporting(running)
        for name, data in (await customer.files(await customer.ended("api_keys"))).items():
            (files / name).write_bytes(data)
    async with auditing(state, signing_keys="2") as running:
        await put(running, [key_made("key_2", "shop")])
        (key,) = (await Reporting(running).keys()).trusted

    async def verified(*words: str) -> Result:
        told = ["report", "verify", str(files), *words]
        return await asyncio.to_thread(CliRunner().invoke, main, told, env={"POSTLAW_STATE": str(state)})

    assert (await verified()).exit_code == 0, "what lies beside the log names every key"
    again = await verified("--key", key, "--log", str(state / "blobs" / "objects" / "audit"))
    assert again.exit_code == 0 and "every line was made again" in again.output
    alone = await verified("--key", key)
    assert alone.exit_code == 1 and "give the key of its day, or --log" in alone.output
