"""Connections between services end after a while, so that callers find replicas that came later; nobody's call ends with them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from postlaw.subscribers.v1 import subscribers_pb2, subscribers_pb2_grpc
from postlaw_common.caller import Actor, Caller
from postlaw_common.errors import PostlawError, Unavailable
from postlaw_common.rpc.channel import MeshChannel, connect
from postlaw_common.rpc.context_token import ContextVerifier, TrustedKey, context_message, sign_context
from postlaw_common.rpc.server import MeshServer
from postlaw_common.rpc.tls import DevelopmentCA
from postlaw_common.service import Servicer
from postlaw_common.testing.patience import PATIENCE_S, patience
from postlaw_common.testing.promises import promise
from postlaw_sending.testing.dns_server import dns_server

AGE_S = 0.5
LIST = subscribers_pb2.CreateListRequest(name="Shop")
_AnySubscribers: Any = subscribers_pb2_grpc.SubscribersServiceServicer


class Replica(_AnySubscribers):
    """Answers by which connection it was asked. Neither of its methods is one that our callers repeat."""

    def __init__(self, house: House) -> None:
        self.uploading: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.parts: list[str] = []
        self.lists = 0
        self.server = MeshServer(
            house.ca.identity("subscribers"),
            ContextVerifier(house.keys),
            [Servicer("postlaw.subscribers.v1.SubscribersService", subscribers_pb2_grpc.add_SubscribersServiceServicer_to_server, self)],
            connection_age_s=AGE_S,
        )

    async def CreateList(self, request: subscribers_pb2.CreateListRequest, context: Any) -> subscribers_pb2.List:
        self.lists += 1
        return subscribers_pb2.List(list_id=context.peer())

    async def CreateImport(self, requests: AsyncIterator[subscribers_pb2.CreateImportRequest], context: Any) -> subscribers_pb2.Import:
        async for request in requests:
            self.parts.append(request.WhichOneof("part") or "")
            if not self.uploading.done():
                self.uploading.set_result(context.peer())
        return subscribers_pb2.Import(import_id=context.peer())


class House:
    """Replicas of subscribers, and one channel to them."""

    def __init__(self, directory: Path, ends: AsyncExitStack) -> None:
        self.ca = DevelopmentCA(directory / "tls")
        self.key = Ed25519PrivateKey.generate()
        self.ends = ends
        self.go_on = asyncio.Event()

    async def keys(self) -> list[TrustedKey]:
        return [TrustedKey("k1", self.key.public_key().public_bytes_raw())]

    async def replica(self, address: str) -> tuple[Replica, int]:
        replica = Replica(self)
        port = replica.server.bind(address)
        await replica.server.start()
        self.ends.push_async_callback(replica.server.drain, 2)
        return replica, port

    def stub(self, target: str) -> Any:
        now_us = time.time_ns() // 1000
        caller = Caller("ten_1", Actor("api_key", "key_1"), None, frozenset({"lists:write", "subscribers:write"}), "key_1")
        token = sign_context(self.key, "k1", context_message(caller, issued_at_us=now_us - 10**6, expires_at_us=now_us + 10**9))
        channel = MeshChannel("subscribers", lambda: connect(target, "subscribers", self.ca.identity("gateway")), lambda: token)
        self.ends.push_async_callback(channel.close)
        return subscribers_pb2_grpc.SubscribersServiceStub(channel)

    async def upload(self) -> AsyncIterator[subscribers_pb2.CreateImportRequest]:
        """Settings at once, and the file when it may `go_on`."""
        consent = subscribers_pb2.ImportConsent(source="shop", attested_by="Ann")
        yield subscribers_pb2.CreateImportRequest(settings=subscribers_pb2.ImportSettings(list_id="lst_1", consent=consent))
        await self.go_on.wait()
        yield subscribers_pb2.CreateImportRequest(chunk=b"a@b.example\n")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with AsyncExitStack() as ends:
        yield House(tmp_path, ends)


async def outlived(house: House) -> tuple[Replica, Any, asyncio.Task[subscribers_pb2.Import]]:
    """A replica, a stub, and an upload under way, since whose begin two other connections were made and not one call failed."""
    replica, port = await house.replica("127.0.0.1:0")
    stub = house.stub(f"127.0.0.1:{port}")
    upload = asyncio.ensure_future(stub.CreateImport(house.upload()))
    async with patience():
        connection = await replica.uploading
        seen: set[str] = set()
        while len(seen - {connection}) < 2:
            seen.add((await stub.CreateList(LIST)).list_id)
    return replica, stub, upload


@promise("S5")
async def test_a_stream_outlives_its_connections_age_and_calls_go_on_by_newer_ones(house: House) -> None:
    replica, _, upload = await outlived(house)
    house.go_on.set()
    async with patience():
        assert (await upload).import_id == await replica.uploading
    assert replica.parts == ["settings", "chunk"]


@pytest.mark.parametrize("finishes", [True, False], ids=["finishes", "does not finish"])
async def test_a_server_that_stops_waits_for_a_stream_in_an_old_connection_as_in_a_new_one(house: House, finishes: bool) -> None:
    replica, stub, upload = await outlived(house)
    stopping = asyncio.create_task(replica.server.drain(PATIENCE_S if finishes else 0.5))
    await asyncio.sleep(0)
    answered = replica.lists
    with pytest.raises(PostlawError):  # what arrives at that very moment is cancelled, also in a connection that is young
        await stub.CreateList(LIST)
    async with patience():
        if finishes:
            await asyncio.wait({stopping}, timeout=1.0)  # more than it gives answers to leave
            assert not stopping.done()
            house.go_on.set()
            assert (await upload).import_id == await replica.uploading
        else:
            with pytest.raises(Unavailable):
                await upload
            house.go_on.set()
        await stopping
    assert replica.lists == answered
    assert replica.server.under_way == 0


@promise("S5")
async def test_a_replica_that_comes_later_gets_its_share_of_calls_though_nobody_was_started_anew(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grpc.aio, "secure_channel", _asking_again_at_once(grpc.aio.secure_channel))
    first, port = await house.replica("127.0.0.1:0")
    later, _ = await house.replica(f"127.0.0.2:{port}")
    async with dns_server() as dns, patience():
        dns.put("subscribers.test", "A", "127.0.0.1")
        stub = house.stub(f"dns://{dns.address}/subscribers.test:{port}")
        await stub.CreateList(LIST)
        dns.put("subscribers.test", "A", "127.0.0.1", "127.0.0.2")
        while not later.lists:
            await stub.CreateList(LIST)
        before = first.lists
        while later.lists < 10:
            await stub.CreateList(LIST)
        assert first.lists > before, "the first one is still called"


def _asking_again_at_once(opened: Callable[..., Any]) -> Callable[..., Any]:
    """gRPC asks the DNS twice in 30 s at most."""

    def secure_channel(*given: Any, options: list[tuple[str, Any]]) -> Any:
        return opened(*given, options=[*options, ("grpc.dns_min_time_between_resolutions_ms", 100)])

    return secure_channel
