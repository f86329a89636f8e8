"""Streams both ways: page by page, part by part, the error's class kept, and an end that reaches the other side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from postlaw.subscribers.v1 import subscribers_pb2, subscribers_pb2_grpc
from postlaw_common import caller
from postlaw_common.errors import Conflict, DeadlineExceeded, Invalid, PostlawError
from postlaw_common.testing.mesh import fake, mesh
from postlaw_common.testing.patience import patience

add_subscribers = subscribers_pb2_grpc.add_SubscribersServiceServicer_to_server


class Subscribers:
    """Streams both ways."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    async def StreamAudience(self, request: Any, context: Any) -> AsyncIterator[subscribers_pb2.AudiencePage]:
        for _ in range(3):
            yield subscribers_pb2.AudiencePage()
        raise Conflict(f"the list changed under {caller.current().tenant_id}")

    async def CreateImport(self, requests: AsyncIterator[subscribers_pb2.CreateImportRequest], context: Any) -> subscribers_pb2.Import:
        async for request in requests:
            self.parts.append(request.WhichOneof("part") or "")
        return subscribers_pb2.Import(import_id=caller.current().tenant_id)


async def test_a_streamed_answer_arrives_page_by_page_and_its_error_keeps_its_class(tmp_path: Path, near: bool) -> None:
    async with mesh(tmp_path, [fake("subscribers", add_subscribers, Subscribers())]) as m:
        channel = m.channel("subscribers", as_service="sending", caller=m.caller("ten_1", ["audience:read"]), near=near)
        stub: Any = subscribers_pb2_grpc.SubscribersServiceStub(channel)
        pages = 0
        with pytest.raises(Conflict, match="ten_1"):
            async for _ in stub.StreamAudience(subscribers_pb2.StreamAudienceRequest(list_id="lst_1")):
                pages += 1
    assert pages == 3


def _parts(source: str = "shop") -> list[subscribers_pb2.CreateImportRequest]:
    consent = subscribers_pb2.ImportConsent(source=source, attested_by="Ann")
    settings = subscribers_pb2.ImportSettings(list_id="lst_1", consent=consent)
    chunks = [subscribers_pb2.CreateImportRequest(chunk=b"a@b.example\n") for _ in range(3)]
    return [subscribers_pb2.CreateImportRequest(settings=settings), *chunks]


async def test_an_upload_arrives_part_by_part_each_checked_against_the_contract(tmp_path: Path, near: bool) -> None:
    subscribers = Subscribers()
    async with mesh(tmp_path, [fake("subscribers", add_subscribers, subscribers)]) as m:
        channel = m.channel("subscribers", caller=m.caller("ten_1", ["subscribers:write"]), near=near)
        stub: Any = subscribers_pb2_grpc.SubscribersServiceStub(channel)
        assert (await stub.CreateImport(iter(_parts()))).import_id == "ten_1"
        assert subscribers.parts == ["settings", "chunk", "chunk", "chunk"]
        with pytest.raises(Invalid) as refused:
            await stub.CreateImport(iter(_parts(source="")))
    assert [wrong.field for wrong in refused.value.fields] == ["settings.consent.source"]


async def test_an_upload_whose_source_breaks_raises_what_broke(tmp_path: Path, near: bool) -> None:
    async def broken() -> AsyncIterator[subscribers_pb2.CreateImportRequest]:
        yield _parts()[0]
        raise ConnectionResetError("the client went away")

    async with mesh(tmp_path, [fake("subscribers", add_subscribers, Subscribers())]) as m:
        channel = m.channel("subscribers", caller=m.caller("ten_1", ["subscribers:write"]), near=near)
        with pytest.raises(ConnectionResetError):
            await cast("Any", subscribers_pb2_grpc.SubscribersServiceStub(channel)).CreateImport(broken())


@pytest.mark.parametrize("let_go", [False, True], ids=["cancelled", "let go"])
async def test_a_near_stream_that_nobody_reads_on_ends_at_the_callee(tmp_path: Path, let_go: bool) -> None:
    ended = asyncio.Event()

    class Endless:
        async def StreamAudience(self, request: Any, context: Any) -> AsyncIterator[subscribers_pb2.AudiencePage]:
            try:
                while True:
                    yield subscribers_pb2.AudiencePage()
            finally:
                ended.set()

    async with mesh(tmp_path, [fake("subscribers", add_subscribers, Endless())]) as m:
        channel = m.channel("subscribers", as_service="sending", caller=m.caller("ten_1", ["audience:read"]), near=True)
        stub: Any = subscribers_pb2_grpc.SubscribersServiceStub(channel)
        answers = stub.StreamAudience(subscribers_pb2.StreamAudienceRequest(list_id="lst_1"))
        await anext(answers)
        if let_go:
            del answers
        else:
            answers.cancel()
            with pytest.raises(PostlawError):
                while True:
                    await anext(answers)
        async with patience():
            await ended.wait()


async def test_a_near_stream_out_of_time_is_deadline_exceeded(tmp_path: Path) -> None:
    class Slow:
        async def StreamAudience(self, request: Any, context: Any) -> AsyncIterator[subscribers_pb2.AudiencePage]:
            yield subscribers_pb2.AudiencePage()
            await asyncio.Event().wait()

    async with mesh(tmp_path, [fake("subscribers", add_subscribers, Slow())]) as m:
        channel = m.channel("subscribers", as_service="sending", caller=m.caller("ten_1", ["audience:read"]), near=True)
        stub: Any = subscribers_pb2_grpc.SubscribersServiceStub(channel)
        pages = 0
        with pytest.raises(DeadlineExceeded):
            async for _ in stub.StreamAudience(
                subscribers_pb2.StreamAudienceRequest(list_id="lst_1"), timeout=1.0
            ):  # in which a slow machine, too, brings a page
                pages += 1
    assert pages == 1
