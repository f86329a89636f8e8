"""A second opinion on a subject, from a server on loopback that speaks Anthropic's Messages API."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.testing.promises import promise

if TYPE_CHECKING:
    from .conftest import Opened, World

TENANT = "ten_00000000000000000000000001"
PROMPT = "You judge subjects. The canary is 5c1f."
L = sending.Checklist


class MessagesApi:
    """`answer`: the tool's input, by subject; or a status, a body, or None for silence."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.heads: list[str] = []
        self.answer: Callable[[str], dict[str, Any] | int | bytes | None] = lambda _: {"kind": "none"}

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(next(line for line in head.splitlines() if line.startswith("content-length")).partition(":")[2])
        asked = json.loads(await reader.readexactly(length))
        self.heads.append(head)
        self.asked.append(asked)
        said = self.answer(asked["messages"][0]["content"])
        status, body = 200, b"{}"
        if isinstance(said, dict):
            use = {"type": "tool_use", "id": "toolu_1", "name": "judge_subject", "input": said}
            message = {
                "id": "msg_1", "type": "message", "role": "assistant", "model": asked["model"], "content": [use],
                "stop_reason": "tool_use", "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1},
            }  # fmt: skip
            body = json.dumps(message).encode()
        elif isinstance(said, bytes):
            body = said
        elif isinstance(said, int):
            status = said
        if said is not None:
            head_out = f"HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
            writer.write(head_out.encode() + body)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def serving() -> AsyncGenerator[tuple[MessagesApi, str]]:
    api = MessagesApi()
    server = await asyncio.start_server(api.take, "127.0.0.1", 0)
    async with server:
        yield api, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def switched_on(url: str, tmp_path: Path, **other: Any) -> dict[str, Any]:
    file = tmp_path / "prompt.txt"
    file.write_text(PROMPT)
    return {"opinion_key": "k", "opinion_url": url, "opinion_customers": TENANT, "opinion_prompt": str(file), **other}


async def opinion(world: World, subject: str = "Spring, {{ name }}") -> L.Item | None:
    world.people.add_list("lst_1", range(8))
    draft = await world.draft(template=sending.Template(subject=subject, text="Hello {{ name }}"))
    found = await world.stub.GetChecklist(sending.GetCampaignRequest(campaign_id=draft.campaign_id))
    return next((item for item in found.items if item.id == "second_opinion"), None)


@promise("M2", "X8")
async def test_a_subject_is_asked_about_without_anybodys_values_and_warned_of_at_most(open_world: Opened, tmp_path: Path) -> None:
    async with serving() as (api, url), open_world(**switched_on(url, tmp_path)) as world:
        api.answer = lambda _: {"kind": "false_urgency"}
        item = await opinion(world, "Last chance, {{ name }}")
        assert item is not None and (item.state, "something ends" in item.what) == (L.STATE_WARN, True)
        [asked] = api.asked
        assert asked["messages"] == [{"role": "user", "content": "<subject>Last chance, {{ name }}</subject>"}]
        assert asked["tool_choice"] == {"type": "tool", "name": "judge_subject"} and asked["system"] == PROMPT
        assert "authorization: bearer k\r\n" in api.heads[0] and "traceparent" not in api.heads[0]
        await opinion(world, "Last chance, {{ name }}")
        assert len(api.asked) == 1, "the same subject is not asked about twice"
        campaign = await world.launched()
        assert (await world.get(campaign)).status == sending.Campaign.STATUS_SENDING, "a warning holds nothing up"


@promise("M2")
@pytest.mark.parametrize(
    "answer",
    [
        500,
        429,
        None,
        {"kind": "The canary is 5c1f."},
        {"kind": ["none"]},
        {"other": 1},
        b"canary 5c1f",
        b"[5]",
        b'{"content": ["5c1f"]}',
        b"{}",
    ],
)
async def test_where_nothing_is_answered_the_checklist_says_so_and_goes_on(open_world: Opened, tmp_path: Path, answer: Any) -> None:
    """Nor does a model's own text stand anywhere: a subject could have it repeat the prompt."""
    async with serving() as (api, url), open_world(**switched_on(url, tmp_path)) as world:
        api.answer = lambda _: answer
        item = await opinion(world)
        assert item is not None and item.state == L.STATE_WARN and item.what.startswith("Could not be asked")
        assert "5c1f" not in item.what
        assert len(api.asked) == 1, "asked once, not again and again"


@promise("M2")
async def test_a_model_that_never_ends_its_answer_holds_no_launch_up(
    open_world: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 x\r\ncontent-type: application/json\r\ncontent-length: 99999\r\n\r\n")
        while not (reader.at_eof() or writer.is_closing()):
            writer.write(b" ")
            await asyncio.sleep(0.01)
        writer.close()

    monkeypatch.setattr("postlaw_sending.opinion.second_opinion._WITHIN_S", 0.2)
    server = await asyncio.start_server(trickle, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, open_world(**switched_on(url, tmp_path)) as world:
        item = await opinion(world)
        assert item is not None and (item.state, item.what) == (L.STATE_WARN, "Could not be asked: no answer in time")


@promise("X8")
async def test_the_prompt_is_kept_sealed_and_outlives_its_file(open_world: Opened, tmp_path: Path) -> None:
    async with serving() as (api, url):
        settings = switched_on(url, tmp_path)
        async with open_world(**settings) as world:
            [document] = [document async for page in world.store.collection("prompts").scan() for document in page]
            assert b"5c1f" not in document["sealed"] and "5c1f" not in repr({**document, "sealed": ""})
        async with open_world(**settings | {"opinion_prompt": ""}) as world:
            assert (await opinion(world)) is not None
            assert [asked["system"] for asked in api.asked] == [PROMPT]


@promise("M2")
async def test_no_more_is_asked_a_day_than_the_budget_says_also_after_a_restart(open_world: Opened, tmp_path: Path) -> None:
    async with serving() as (api, url):
        for subject, state in (("One", L.STATE_PASS), ("Two", L.STATE_PASS), ("Three", L.STATE_WARN)):
            async with open_world(**switched_on(url, tmp_path, opinion_a_day=2)) as world:
                item = await opinion(world, subject)
                assert item is not None and item.state == state
        assert len(api.asked) == 2


@promise("M2")
@pytest.mark.parametrize("off", [{"opinion_customers": "ten_00000000000000000000000002"}, {"opinion_customers": ""}, {"opinion_key": ""}])
async def test_nobodys_subject_is_sent_whose_setting_does_not_allow_it(open_world: Opened, tmp_path: Path, off: dict[str, str]) -> None:
    async with serving() as (api, url), open_world(**switched_on(url, tmp_path) | off) as world:
        assert await opinion(world) is None
        assert not api.asked


def test_the_client_is_imported_where_it_is_switched_on_alone() -> None:
    said = "import sys, postlaw_sending.service; sys.exit('anthropic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", said], check=False).returncode == 0
