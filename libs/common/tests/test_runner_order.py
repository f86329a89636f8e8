"""The order in which one runner starts and stops services, and what becomes of the calls under way."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from postlaw.audit.v1 import audit_pb2, audit_pb2_grpc
from postlaw.identity.v1 import identity_pb2, identity_pb2_grpc
from postlaw_common.bus import Topic
from postlaw_common.errors import PostlawError, Unavailable
from postlaw_common.opening import StartRefused
from postlaw_common.platform import Platform
from postlaw_common.rpc.directory import published
from postlaw_common.service import Background, Service, Servicer
from postlaw_common.store import CollectionSpec
from postlaw_common.testing.mesh import fake, mesh
from postlaw_common.testing.patience import PATIENCE_S

pytestmark = pytest.mark.usefixtures("no_task_is_left")

AUDIT = "postlaw.audit.v1.AuditService"
add_audit = audit_pb2_grpc.add_AuditServiceServicer_to_server
# The generated servicer is abstract to the type checker; a fake answers some methods and refuses the others.
_AnyAudit: Any = audit_pb2_grpc.AuditServiceServicer
add_identity = identity_pb2_grpc.add_IdentityServiceServicer_to_server
ASK = audit_pb2.GetCheckpointRequest()


class Diary(_AnyAudit):
    """A service that writes down what happens to it, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.asked, self.may_answer = asyncio.Event(), asyncio.Event()

    def build(self, platform: Platform) -> Service:
        self.platform = platform
        store = platform.store("diary")

        async def on_start() -> None:
            await store.collection("entries").insert({"_id": "started"})
            await platform.bus.publish([])
            self.lines.append(f"on_start with {platform.placement().partitions} partitions")

        async def on_stop() -> None:
            assert await store.collection("entries").get("started")
            self.lines.append("on_stop")

        async def background() -> None:
            self.lines.append("background")
            try:
                await asyncio.sleep(60)
            finally:
                self.lines.append("background cancelled")

        return Service(
            name="audit",
            databases={"diary": [CollectionSpec("entries")]},
            topics=[Topic("postlaw.diary.v1")],
            servicers=[Servicer(AUDIT, add_audit, self)],
            consumers=[cast("Any", Consuming(self.lines))],
            backgrounds=[Background("background", background)],
            on_start=on_start,
            on_stop=on_stop,
        )

    async def GetCheckpoint(self, request: Any, context: Any) -> audit_pb2.Checkpoint:
        self.asked.set()
        await self.may_answer.wait()
        self.lines.append("answered")
        return audit_pb2.Checkpoint(size=7)


class Consuming:
    def __init__(self, lines: list[str]) -> None:
        self.lines, self.name = lines, "diary"

    async def start(self, bus: Any) -> None:
        self.lines.append("consumer")

    async def stop(self) -> None:
        self.lines.append("consumer drained")


async def test_a_service_starts_and_stops_in_order_and_a_call_under_way_is_answered(tmp_path: Path) -> None:
    diary = Diary()
    async with mesh(tmp_path, [diary.build], partitions=4) as m:
        stub: Any = audit_pb2_grpc.AuditServiceStub(m.channel("audit"))
        under_way = asyncio.create_task(stub.GetCheckpoint(ASK))
        await diary.asked.wait()
        asyncio.get_running_loop().call_later(0.2, diary.may_answer.set)
        late = asyncio.create_task(_late(stub, m.running))
    assert diary.lines == [
        "on_start with 4 partitions", "consumer", "background", "answered", "background cancelled", "consumer drained", "on_stop",
    ]  # fmt: skip
    assert (await under_way).size == 7
    assert isinstance(await late, Unavailable)


async def _late(stub: Any, running: Any) -> BaseException | None:
    """A call that comes when stopping has begun."""
    while running.ready:
        await asyncio.sleep(0.005)
    await asyncio.sleep(0.05)
    try:
        await stub.GetCheckpoint(ASK)
    except PostlawError as refused:
        return refused
    return None


async def test_an_answer_that_is_on_its_way_when_channels_close_still_arrives(tmp_path: Path) -> None:
    diary = Diary()
    async with mesh(tmp_path, [diary.build]) as m:
        stub: Any = audit_pb2_grpc.AuditServiceStub(m.channel("audit"))
        under_way = asyncio.create_task(stub.GetCheckpoint(ASK))
        await diary.asked.wait()
        asyncio.get_running_loop().call_later(0.05, diary.may_answer.set)
        await m.running.backing.directory.close()
        assert (await under_way).size == 7


async def test_a_call_that_outlasts_the_drain_deadline_is_ended(tmp_path: Path) -> None:
    diary = Diary()
    async with mesh(tmp_path, [diary.build], drain_s=0.4) as m:
        stub: Any = audit_pb2_grpc.AuditServiceStub(m.channel("audit"))
        under_way = asyncio.create_task(stub.GetCheckpoint(ASK))
        await diary.asked.wait()
    with pytest.raises(PostlawError):
        await under_way
    assert diary.lines[-1] == "on_stop"


async def test_a_call_under_way_can_still_call_other_services_of_the_process(tmp_path: Path) -> None:
    asked, stopping = asyncio.Event(), asyncio.Event()

    class Keys:
        async def ListSigningKeys(self, request: Any, context: Any) -> identity_pb2.ListSigningKeysResponse:
            return identity_pb2.ListSigningKeysResponse(signing_keys=[identity_pb2.SigningKey(key_id="k1")])

    class Audit(_AnyAudit):
        def __init__(self, platform: Platform) -> None:
            self.identity: Any = identity_pb2_grpc.IdentityServiceStub(platform.channel("identity"))

        async def GetCheckpoint(self, request: Any, context: Any) -> audit_pb2.Checkpoint:
            asked.set()
            await stopping.wait()
            await asyncio.sleep(0.1)
            answer = await self.identity.ListSigningKeys(identity_pb2.ListSigningKeysRequest())
            return audit_pb2.Checkpoint(origin=answer.signing_keys[0].key_id)

    builders = [lambda platform: fake("audit", add_audit, Audit(platform))(platform), fake("identity", add_identity, Keys())]
    async with mesh(tmp_path, builders) as m:
        stub: Any = audit_pb2_grpc.AuditServiceStub(m.channel("audit"))
        under_way = asyncio.create_task(stub.GetCheckpoint(ASK))
        await asked.wait()
        stopping.set()
    assert (await under_way).origin == "k1"


async def test_services_of_one_process_find_each_other_over_grpc_under_their_own_names(tmp_path: Path) -> None:
    async def index(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"the app"})

    answers: list[int] = []

    def build_gateway(platform: Platform) -> Service:
        stub: Any = audit_pb2_grpc.AuditServiceStub(platform.channel("audit"))

        async def ask() -> None:
            answers.append((await stub.GetCheckpoint(ASK)).size)

        return Service(name="gateway", backgrounds=[Background("ask", ask)], http_app=index)

    diary = Diary()
    diary.may_answer.set()
    async with mesh(tmp_path, [build_gateway, diary.build]) as m:
        async with httpx.AsyncClient(base_url=m.http_url(), timeout=PATIENCE_S) as http:
            assert (await http.get("/")).text == "the app"
            assert [(await http.get(path)).status_code for path in ("/livez", "/readyz")] == [200, 200]
            m.running.ready = False
            assert [(await http.get(path)).status_code for path in ("/livez", "/readyz")] == [200, 503]
        while not answers:
            await asyncio.sleep(0.01)
        assert published(tmp_path) == {"audit": f"127.0.0.1:{m.running.ports['audit']}"}
    assert answers == [7]
    assert published(tmp_path) == {}


async def test_what_was_started_is_stopped_when_a_later_start_fails(tmp_path: Path) -> None:
    diary = Diary()

    async def refuse() -> None:
        raise StartRefused("not today")

    with pytest.raises(StartRefused, match="not today"):
        async with mesh(tmp_path, [diary.build, lambda _: Service(name="late", on_start=refuse)]):
            pass
    assert diary.lines == ["on_start with 16 partitions", "on_stop"]
    async with mesh(tmp_path, []):  # the state is free again
        pass
