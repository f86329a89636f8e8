"""What our own calls carry and raise: the caller, the same error class, retries only where allowed."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from postlaw.audit.v1 import audit_pb2, audit_pb2_grpc
from postlaw.consent.v1 import consent_pb2_grpc
from postlaw.identity.v1 import identity_pb2, identity_pb2_grpc
from postlaw_common import caller, errors
from postlaw_common.bus import BusUnavailable
from postlaw_common.errors import Conflict, DeadlineExceeded, FieldError, Invalid, PostlawError, Unavailable
from postlaw_common.rpc import deadline
from postlaw_common.rpc.status import details_of, error_of
from postlaw_common.testing.mesh import Mesh, fake, mesh

add_audit = audit_pb2_grpc.add_AuditServiceServicer_to_server
add_identity = identity_pb2_grpc.add_IdentityServiceServicer_to_server


class CampaignBusy(Conflict):
    """A service's own subclass."""

    type = "campaign-busy"


FAMILY = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, PostlawError) and kind is not PostlawError]


class Moody:
    """Fails as often as it was told to, with what it was told to."""

    def __init__(self, failure: Exception | None = None, times: int = 99) -> None:
        self.failure, self.times, self.calls = failure, times, 0
        self.callers: list[caller.Caller | None] = []
        self.bound: list[float] = []

    async def _answer(self) -> None:
        self.calls += 1
        self.callers.append(caller.maybe_current())
        self.bound.append(deadline.bounded(1000))
        if self.failure is not None and self.calls <= self.times:
            raise self.failure

    async def GetCheckpoint(self, request: Any, context: Any) -> audit_pb2.Checkpoint:
        await self._answer()
        return audit_pb2.Checkpoint(size=self.calls)

    async def CreateTenant(self, request: Any, context: Any) -> identity_pb2.Tenant:
        await self._answer()
        return identity_pb2.Tenant(name=request.name)


async def ask(m: Mesh, near: bool, **more: Any) -> audit_pb2.Checkpoint:
    stub: Any = audit_pb2_grpc.AuditServiceStub(m.channel("audit", near=near))
    return await stub.GetCheckpoint(audit_pb2.GetCheckpointRequest(), **more)


@pytest.mark.parametrize("kind", FAMILY, ids=lambda kind: kind.__name__)
async def test_an_error_arrives_as_the_class_that_was_raised_with_type_fields_and_retry(
    tmp_path: Path, near: bool, kind: type[PostlawError]
) -> None:
    raised = kind("the detail: ü", type="a-type-of-its-own", fields=[FieldError("template.subject", "is required")], retry_after_s=0.01)
    async with mesh(tmp_path, [fake("audit", add_audit, Moody(raised))]) as m:
        with pytest.raises(PostlawError) as got:
            await ask(m, near)
    assert type(got.value) is kind
    assert (got.value.detail, got.value.type, got.value.fields) == (raised.detail, raised.type, raised.fields)
    assert got.value.retry_after_s == 0.01


async def test_a_services_own_subclass_arrives_as_its_family_with_its_type(tmp_path: Path, near: bool) -> None:
    async with mesh(tmp_path, [fake("audit", add_audit, Moody(CampaignBusy("still sending")))]) as m:
        with pytest.raises(Conflict) as got:
            await ask(m, near)
    assert got.value.type == "campaign-busy"


def test_an_error_with_very_many_fields_still_fits_into_a_header() -> None:
    error = Invalid("x" * 10_000, fields=[FieldError(f"consents[{i}].address", "long" * 60) for i in range(1000)])
    assert len(details_of(error)) < 6000


async def test_a_backing_part_that_is_gone_is_unavailable_not_internal(tmp_path: Path, near: bool) -> None:
    async with mesh(tmp_path, [fake("audit", add_audit, Moody(BusUnavailable("kafka://inner.host:9092 is gone")))]) as m:
        with pytest.raises(Unavailable) as got:
            await ask(m, near)
    assert "inner.host" not in got.value.detail


async def test_an_idempotent_call_is_repeated_on_unavailable_and_then_answers(tmp_path: Path, near: bool) -> None:
    audit = Moody(Unavailable("not yet"), times=2)
    async with mesh(tmp_path, [fake("audit", add_audit, audit)]) as m:
        assert (await ask(m, near)).size == 3


async def test_a_call_that_a_server_ends_as_it_closes_the_connection_is_repeated_only_where_it_is_idempotent(tmp_path: Path) -> None:
    class Closing(Moody):
        """gRPC's answer to what arrives at the very moment a connection is closed."""

        async def GetCheckpoint(self, request: Any, context: Any) -> audit_pb2.Checkpoint:
            self.calls += 1
            if self.calls < 3:
                await context.abort(grpc.StatusCode.CANCELLED, "")
            return audit_pb2.Checkpoint(size=self.calls)

        async def CreateTenant(self, request: Any, context: Any) -> identity_pb2.Tenant:
            self.calls += 1
            return await context.abort(grpc.StatusCode.CANCELLED, "")

    audit, identity = Closing(), Closing()
    async with mesh(tmp_path, [fake("audit", add_audit, audit), fake("identity", add_identity, identity)]) as m:
        assert (await ask(m, near=False)).size == 3
        stub: Any = identity_pb2_grpc.IdentityServiceStub(
            m.channel("identity", as_service="operator", caller=m.caller("", ["platform:admin"]), near=False)
        )
        with pytest.raises(Unavailable, match="may have happened"):
            await stub.CreateTenant(identity_pb2.CreateTenantRequest(name="Acme"))
    assert identity.calls == 1


@pytest.mark.parametrize("failure", [Conflict("no"), DeadlineExceeded("late"), ValueError("bug")])
async def test_no_other_failure_is_repeated(tmp_path: Path, near: bool, failure: Exception) -> None:
    audit = Moody(failure)
    async with mesh(tmp_path, [fake("audit", add_audit, audit)]) as m:
        with pytest.raises(PostlawError):
            await ask(m, near)
    assert audit.calls == 1


async def test_a_server_that_says_when_to_come_again_is_not_asked_before(tmp_path: Path, near: bool) -> None:
    audit = Moody(Unavailable("in a while", retry_after_s=30))
    async with mesh(tmp_path, [fake("audit", add_audit, audit)]) as m:
        with pytest.raises(Unavailable):
            await ask(m, near)
    assert audit.calls == 1


async def test_a_call_that_is_not_idempotent_is_made_once(tmp_path: Path, near: bool) -> None:
    identity = Moody(Unavailable("not yet"))
    async with mesh(tmp_path, [fake("identity", add_identity, identity)]) as m:
        stub: Any = identity_pb2_grpc.IdentityServiceStub(
            m.channel("identity", as_service="operator", caller=m.caller("", ["platform:admin"]), near=near)
        )
        with pytest.raises(Unavailable):
            await stub.CreateTenant(identity_pb2.CreateTenantRequest(name="Acme"))
    assert identity.calls == 1


async def test_a_call_carries_whoever_is_acting_and_ends_with_the_call_that_it_serves(tmp_path: Path, near: bool) -> None:
    audit = Moody()
    async with mesh(tmp_path, [fake("audit", add_audit, audit)]) as m:
        ann = m.caller("ten_1", ["a:b"])
        with caller.acting_as(ann):
            await ask(m, near, timeout=3)
        await ask(m, near)
    assert audit.callers == [ann, None]
    assert audit.bound[0] < 4 < audit.bound[1] < 11


async def test_a_service_without_an_address_is_unavailable_and_says_which_setting_names_it(tmp_path: Path, near: bool) -> None:
    async with mesh(tmp_path, []) as m:
        with pytest.raises(Unavailable, match="POSTLAW_PEER_AUDIT"):
            await ask(m, near)


async def test_a_call_out_of_time_is_deadline_exceeded(tmp_path: Path, near: bool) -> None:
    class Slow:
        async def GetCheckpoint(self, request: Any, context: Any) -> None:
            await asyncio.sleep(5)

    async with mesh(tmp_path, [fake("audit", add_audit, Slow())]) as m:
        with pytest.raises(DeadlineExceeded):
            await ask(m, near, timeout=0.1)


async def test_a_cancelled_task_stays_cancelled_and_a_channel_that_is_closed_meanwhile_is_unavailable(tmp_path: Path, near: bool) -> None:
    asked = asyncio.Event()

    class Slow:
        async def GetCheckpoint(self, request: Any, context: Any) -> None:
            asked.set()
            await asyncio.sleep(5)

    async with mesh(tmp_path, [fake("audit", add_audit, Slow())], drain_s=0.2) as m:
        call = asyncio.create_task(ask(m, near))
        await asked.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        asked.clear()
        call = asyncio.create_task(ask(m, near))
        await asked.wait()
        await m.running.backing.directory.close()
        with pytest.raises(Unavailable):
            await call


async def test_a_denied_answer_without_details_still_has_its_class() -> None:
    bare = grpc.aio.AioRpcError(grpc.StatusCode.NOT_FOUND, grpc.aio.Metadata(), grpc.aio.Metadata(), "gone")
    assert type(error_of(bare, "audit")) is errors.NotFound


async def test_one_process_has_one_connection_for_each_pair_of_services(tmp_path: Path) -> None:
    async with mesh(tmp_path, [fake("consent", consent_pb2_grpc.add_ConsentServiceServicer_to_server, object())]) as m:
        assert m.channel("consent").bare() is m.channel("consent").bare()
        assert m.channel("consent").bare() is not m.channel("consent", as_service="sending").bare()


async def test_a_near_call_shares_neither_objects_nor_context_with_its_callee(tmp_path: Path) -> None:
    theirs = audit_pb2.Checkpoint(size=1)
    word: ContextVar[str] = ContextVar("word", default="unset")
    heard: list[str] = []

    class Audit:
        async def GetCheckpoint(self, request: Any, context: Any) -> audit_pb2.Checkpoint:
            heard.append(word.get())
            word.set("the callee's")
            return theirs

    async with mesh(tmp_path, [fake("audit", add_audit, Audit())]) as m:
        word.set("the caller's")
        ours = await ask(m, True)
    theirs.size = 2
    assert (ours.size, heard, word.get()) == (1, ["unset"], "the caller's")
