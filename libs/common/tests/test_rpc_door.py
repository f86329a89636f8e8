"""Nobody gets past the door of a service but those whom the contract names, with a context that identity signed."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import grpc
import grpc.aio
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from postlaw.audit.v1 import audit_pb2, audit_pb2_grpc
from postlaw_common import caller
from postlaw_common.caller import Actor, Caller
from postlaw_common.errors import Denied, Invalid, PostlawError, Unauthenticated, Unavailable
from postlaw_common.rpc.channel import MeshChannel, connect
from postlaw_common.rpc.context_token import ContextVerifier, TrustedKey, context_message, sign_context
from postlaw_common.rpc.door import peer_service
from postlaw_common.rpc.near import NearChannel
from postlaw_common.rpc.server import MeshServer
from postlaw_common.rpc.tls import DevelopmentCA
from postlaw_common.service import Servicer

NOW_US = time.time_ns() // 1000
READER = Caller("ten_1", Actor("api_key", "key_1"), Actor("user", "usr_7"), frozenset({"audit:read"}), "key_1")


# The generated servicer is abstract to the type checker; a fake answers some methods and refuses the others.
_AnyAudit: Any = audit_pb2_grpc.AuditServiceServicer


class Audit(_AnyAudit):
    def __init__(self) -> None:
        self.seen: list[Caller | None] = []

    async def GetEventProof(self, request: audit_pb2.GetEventProofRequest, context: Any) -> audit_pb2.EventProof:
        self.seen.append(caller.maybe_current())
        return audit_pb2.EventProof(event_id=request.event_id)

    async def GetConsistencyProof(self, request: audit_pb2.GetConsistencyProofRequest, context: Any) -> audit_pb2.ConsistencyProof:
        raise ValueError("the address ann@example.org is in this text")

    async def GetCheckpoint(self, request: audit_pb2.GetCheckpointRequest, context: Any) -> audit_pb2.Checkpoint:
        self.seen.append(caller.maybe_current())
        return audit_pb2.Checkpoint(size=5)


class House:
    """One audit server, the key that identity would sign with, and channels under any name. `near`: of the same process."""

    def __init__(self, directory: Path, near: bool) -> None:
        self.near = near
        self.ca = DevelopmentCA(directory / "tls")
        self.key = Ed25519PrivateKey.generate()
        self.audit = Audit()
        self.asked = 0
        self.clock_ahead_us = 0
        self.server = MeshServer(
            self.ca.identity("audit"),
            ContextVerifier(self._keys, now_us=lambda: time.time_ns() // 1000 + self.clock_ahead_us),
            [
                Servicer("postlaw.audit.v1.AuditService", audit_pb2_grpc.add_AuditServiceServicer_to_server, self.audit),
                Servicer("toy.Unlisted", _add_unlisted, None),
            ],
        )
        self.port = self.server.bind("127.0.0.1:0")
        self.channels: list[MeshChannel] = []

    async def _keys(self) -> list[TrustedKey]:
        self.asked += 1
        return [TrustedKey("k1", self.key.public_key().public_bytes_raw())]

    def channel(self, name: str, token: bytes = b"", *, of: str = "audit") -> MeshChannel:
        address, identity = f"127.0.0.1:{self.port}", self.ca.identity(name)
        near = (lambda: NearChannel(self.server.door, name)) if self.near else None
        self.channels.append(MeshChannel(of, lambda: connect(address, of, identity), lambda: token, near))
        return self.channels[-1]

    def bare(self, name: str) -> Any:
        """What a channel calls through, where nobody adds a deadline."""
        return NearChannel(self.server.door, name) if self.near else self.channel(name).bare()

    def stub(self, name: str = "gateway", token: bytes | None = None) -> Any:
        return audit_pb2_grpc.AuditServiceStub(self.channel(name, self.token() if token is None else token))

    def token(self, who: Caller = READER, *, key: Ed25519PrivateKey | None = None, key_id: str = "k1", expires_in_s: float = 60) -> bytes:
        context = context_message(who, issued_at_us=NOW_US - 10**8, expires_at_us=time.time_ns() // 1000 + int(expires_in_s * 1e6))
        return sign_context(key or self.key, key_id, context)


def _add_unlisted(_: object, server: Any) -> None:
    """A method that no contract knows, and one that the contract knows without our option would look the same."""

    async def anything(raw: bytes, context: Any) -> bytes:
        return b"let in"

    handler = grpc.unary_unary_rpc_method_handler(cast("Any", anything), request_deserializer=bytes, response_serializer=bytes)
    server.add_registered_method_handlers("toy.Unlisted", {"Anything": handler})


@pytest.fixture(params=[False, True], ids=["network", "near"])
async def house(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[House]:
    house = House(tmp_path, near=request.param)
    await house.server.start()
    yield house
    for channel in house.channels:
        await channel.close()
    await house.server.drain(2)


PROOF = audit_pb2.GetEventProofRequest(event_id="evt_1")


async def test_a_listed_caller_with_a_signed_context_gets_in_and_the_servicer_knows_who_asks(house: House) -> None:
    token = house.token()
    assert (await house.stub(token=token).GetEventProof(PROOF)).event_id == "evt_1"
    seen = house.audit.seen[0]
    assert seen is not None
    assert (seen.tenant_id, str(seen.actor), str(seen.on_behalf_of), seen.scopes) == (
        "ten_1",
        "api_key:key_1",
        "user:usr_7",
        {"audit:read"},
    )
    assert (seen.credential_id, seen.signed) == ("key_1", token)


async def test_a_service_that_the_method_does_not_list_is_refused(house: House) -> None:
    with pytest.raises(Denied) as refused:
        await house.stub("subscribers").GetEventProof(PROOF)
    assert refused.value.type == "caller-not-allowed"
    assert house.audit.seen == []


@pytest.mark.parametrize("house", [False], indirect=True)
async def test_a_certificate_of_another_authority_gets_no_connection(house: House, tmp_path: Path) -> None:
    stranger = DevelopmentCA(tmp_path / "elsewhere").identity("gateway")
    ours = house.ca.trusted
    forged = type(stranger)(stranger.service, ours, stranger.certificate, stranger.key)
    channel = MeshChannel("audit", lambda: connect(f"127.0.0.1:{house.port}", "audit", forged), house.token)
    house.channels.append(channel)
    with pytest.raises(Unavailable):
        await cast("Any", audit_pb2_grpc.AuditServiceStub(channel)).GetEventProof(PROOF)


@pytest.mark.parametrize("house", [False], indirect=True)
async def test_a_client_refuses_a_server_that_shows_another_services_name(house: House) -> None:
    stub: Any = audit_pb2_grpc.AuditServiceStub(house.channel("gateway", house.token(), of="consent"))
    with pytest.raises(Unavailable):
        await stub.GetEventProof(PROOF)
    assert house.audit.seen == []


class _Shown:
    def __init__(self, **properties: list[bytes]) -> None:
        self._properties = properties

    def auth_context(self) -> dict[str, list[bytes]]:
        return self._properties


@pytest.mark.parametrize(
    ("names", "tls", "service"),
    [
        ([b"spiffe://postlaw/gateway"], b"TLSv1.3", "gateway"),
        ([b"spiffe://postlaw/gateway"], b"TLSv1.2", ""),
        ([b"spiffe://other/gateway"], b"TLSv1.3", ""),
        ([b"spiffe://postlaw/gateway", b"spiffe://postlaw/consent"], b"TLSv1.3", ""),
        ([], b"TLSv1.3", ""),
    ],
)
def test_a_peers_name_comes_from_its_one_uri_name_over_tls_1_3_only(names: list[bytes], tls: bytes, service: str) -> None:
    assert peer_service(cast("Any", _Shown(peer_spiffe_id=names, ssl_tls_version=[tls]))) == service


async def test_a_method_without_the_option_is_refused_to_everyone(house: House) -> None:
    for name in ("gateway", "operator", "audit"):
        call: Any = house.channel(name, house.token()).unary_unary("/toy.Unlisted/Anything")
        with pytest.raises(Denied):
            await call(b"")


async def test_an_expired_context_is_refused_even_when_it_was_known(house: House) -> None:
    with pytest.raises(Unauthenticated) as refused:
        await house.stub(token=house.token(expires_in_s=-1)).GetEventProof(PROOF)
    assert refused.value.type == "context-expired"
    stub = house.stub(token=house.token(expires_in_s=60))
    await stub.GetEventProof(PROOF)
    house.clock_ahead_us = 61_000_000
    with pytest.raises(Unauthenticated):
        await stub.GetEventProof(PROOF)


async def test_a_forged_context_is_refused(house: House) -> None:
    forged = house.token(key=Ed25519PrivateKey.generate())
    altered = house.token().replace(b"ten_1", b"ten_2")
    for token in (forged, altered, b"no protobuf at all"):
        with pytest.raises(Unauthenticated):
            await house.stub(token=token).GetEventProof(PROOF)
    assert house.audit.seen == []


async def test_a_context_of_a_key_that_identity_does_not_know_is_refused_and_identity_is_not_flooded(house: House) -> None:
    stub = house.stub(token=house.token(key=Ed25519PrivateKey.generate(), key_id="foreign"))
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            await stub.GetEventProof(PROOF)
    assert house.asked == 1


async def test_a_method_that_needs_a_context_is_refused_without_one_and_another_is_not(house: House) -> None:
    stub = house.stub(token=b"")
    with pytest.raises(Unauthenticated) as refused:
        await stub.GetEventProof(PROOF)
    assert refused.value.type == "context-required"
    assert (await stub.GetCheckpoint(audit_pb2.GetCheckpointRequest())).size == 5
    assert house.audit.seen == [None]


async def test_a_caller_without_the_scope_is_refused(house: House) -> None:
    poor = Caller("ten_1", Actor("api_key", "key_2"), scopes=frozenset({"audit:write"}))
    with pytest.raises(Denied) as refused:
        await house.stub(token=house.token(poor)).GetEventProof(PROOF)
    assert refused.value.type == "missing-scope"
    assert "audit:read" in refused.value.detail


async def test_a_call_without_a_deadline_is_refused(house: House) -> None:
    bare: Any = audit_pb2_grpc.AuditServiceStub(house.bare("gateway"))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await bare.GetCheckpoint(audit_pb2.GetCheckpointRequest())
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "deadline" in (refused.value.details() or "")
    assert (await bare.GetCheckpoint(audit_pb2.GetCheckpointRequest(), timeout=5)).size == 5


async def test_a_request_against_its_contract_names_the_field(house: House) -> None:
    with pytest.raises(Invalid) as refused:
        await house.stub().GetEventProof(audit_pb2.GetEventProofRequest(event_id="x" * 101))
    assert [(wrong.field, wrong.message) for wrong in refused.value.fields] == [("event_id", "must have at most 100 characters")]
    assert house.audit.seen == []


async def test_bytes_that_are_no_request_are_refused_after_the_caller_was_judged(house: House) -> None:
    path = "/postlaw.audit.v1.AuditService/GetEventProof"
    with pytest.raises(Denied):
        await house.channel("subscribers", house.token()).unary_unary(path)(b"\xff\xff\xff")
    with pytest.raises(Invalid):
        await house.channel("gateway", house.token()).unary_unary(path)(b"\xff\xff\xff")


async def test_an_unexpected_failure_tells_an_incident_and_nothing_of_the_inside(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PostlawError) as failed:
        await house.stub().GetConsistencyProof(audit_pb2.GetConsistencyProofRequest())
    assert failed.value.type == "internal"
    assert failed.value.incident in failed.value.detail
    assert "ann@example.org" not in failed.value.detail
    logged = capsys.readouterr().err
    assert failed.value.incident in logged
    assert "GetConsistencyProof" in logged
    assert "ann@example.org" not in logged


@pytest.mark.parametrize("house", [False], indirect=True)
async def test_health_and_reflection_answer_any_peer_of_the_mesh_without_context_or_deadline(house: House) -> None:
    bare = house.channel("sending").bare()
    health: Any = health_pb2_grpc.HealthStub(bare)
    name = "postlaw.audit.v1.AuditService"
    assert (await health.Check(health_pb2.HealthCheckRequest(service=name))).status == health_pb2.HealthCheckResponse.NOT_SERVING
    await house.server.set_ready(True)
    assert (await health.Check(health_pb2.HealthCheckRequest(service=name))).status == health_pb2.HealthCheckResponse.SERVING
    reflection: Any = reflection_pb2_grpc.ServerReflectionStub(cast("Any", bare))
    answers = reflection.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
    listed = [service.name async for answer in answers for service in answer.list_services_response.service]
    assert name in listed
