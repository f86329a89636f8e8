"""Consent behind its real door: mutual TLS, the method table, contexts; with no other service but a fake sending and a fake identity."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from postlaw.consent.v1 import consent_pb2 as pb
from postlaw.consent.v1.consent_pb2_grpc import ConsentServiceStub
from postlaw.identity.v1 import identity_pb2
from postlaw.identity.v1.identity_pb2_grpc import add_IdentityServiceServicer_to_server
from postlaw.sending.v1 import sending_pb2
from postlaw.sending.v1.sending_pb2_grpc import add_SendingServiceServicer_to_server
from postlaw.subscribers.v1.subscribers_pb2 import List, ListCreated
from postlaw_common.errors import Denied, Invalid, Unauthenticated
from postlaw_common.events import new_event, to_record
from postlaw_common.testing.mesh import Mesh, fake, mesh
from postlaw_common.testing.patience import patience
from postlaw_common.testing.promises import promise
from postlaw_consent.consumers import LISTS
from postlaw_consent.service import ConsentSettings, build

from .world import PROVEN

PERSON = b"\x01" + bytes(range(32))
LIST = pb.Scope(list_id="lst_1")
RELAY_UNTIL_S = 1_900_000_000
CONSENT = pb.ConsentRecord(address_key=PERSON, scope=LIST, wording="Yes.", particulars=PROVEN)


class Stopping:
    """A sending service in which the mail has always stopped, and whose relay has two messages left."""

    async def AwaitStopped(self, request: sending_pb2.AwaitStoppedRequest, context: Any) -> sending_pb2.AwaitStoppedResponse:
        return sending_pb2.AwaitStoppedResponse(
            outcome=pb.OUTCOME_STOPPED, epoch=3, relay_may_hold=2, relay_until=Timestamp(seconds=RELAY_UNTIL_S)
        )


class Knowing:
    """An identity service that knows every customer, and not where it stands in the law."""

    async def GetTenant(self, request: identity_pb2.GetTenantRequest, context: Any) -> identity_pb2.Tenant:
        return identity_pb2.Tenant(tenant_id=request.tenant_id)

    async def ListSigningKeys(self, request: Any, context: Any) -> identity_pb2.ListSigningKeysResponse:
        return identity_pb2.ListSigningKeysResponse()


def builders() -> list[Any]:
    return [
        lambda platform: build(platform, ConsentSettings()),
        fake("sending", add_SendingServiceServicer_to_server, Stopping()),
        fake("identity", add_IdentityServiceServicer_to_server, Knowing()),
    ]


def decisions(m: Mesh) -> pb.GetDecisionsRequest:
    placement = m.running.backing.placement()
    return pb.GetDecisionsRequest(
        scope=LIST, partition=placement.partition("ten_1", PERSON), address_keys=[PERSON], opt_out_tokens=True, bulk=True
    )


@promise("M5", "M6")
async def test_from_consent_to_link_to_stop_through_the_real_door(tmp_path: Path) -> None:
    async with mesh(tmp_path, builders()) as m:
        gateway = ConsentServiceStub(m.channel("consent", as_service="gateway", caller=m.caller("ten_1", ["consents:write"])))
        sending = ConsentServiceStub(m.channel("consent", as_service="sending", caller=m.caller("ten_1", ["decisions:read"])))
        stranger = ConsentServiceStub(m.channel("consent", as_service="gateway"))
        await gateway.RecordConsents(pb.RecordConsentsRequest(consents=[CONSENT]))
        [decision] = (await sending.GetDecisions(decisions(m))).decisions
        token = decision.opt_out_token.decode()
        receipt = await stranger.WithdrawByToken(pb.WithdrawByTokenRequest(token=token))
        assert receipt.outcome == pb.OUTCOME_STOPPED
        assert (receipt.relay_may_hold, receipt.relay_until) == (2, Timestamp(seconds=RELAY_UNTIL_S))
        assert (await stranger.DescribeToken(pb.DescribeTokenRequest(token=token))).already_withdrawn
        again = await gateway.WithdrawConsent(pb.WithdrawConsentRequest(address_key=PERSON, scope=LIST))
        assert (again.already_withdrawn, again.event_id) == (True, receipt.event_id)


async def test_who_may_not_ask_is_refused(tmp_path: Path) -> None:
    async with mesh(tmp_path, builders()) as m:
        caller = m.caller("ten_1", ["consents:write", "decisions:read"])
        with pytest.raises(Denied):
            await ConsentServiceStub(m.channel("consent", as_service="gateway", caller=caller)).GetDecisions(decisions(m))
        with pytest.raises(Denied):
            poor = ConsentServiceStub(m.channel("consent", as_service="gateway", caller=m.caller("ten_1")))
            await poor.WithdrawConsent(pb.WithdrawConsentRequest(address_key=PERSON, scope=LIST))
        stranger = ConsentServiceStub(m.channel("consent", as_service="gateway"))
        with pytest.raises(Unauthenticated):
            await stranger.WithdrawConsent(pb.WithdrawConsentRequest(address_key=PERSON, scope=LIST))
        with pytest.raises(Invalid) as refused:
            await stranger.WithdrawByToken(pb.WithdrawByTokenRequest(token="A" * 80))
        assert refused.value.type == "bad-token"


async def test_a_link_names_its_list_once_subscribers_has_announced_it(tmp_path: Path) -> None:
    """Subscribers itself is not there, the name came by the bus; another customer's list of the same id has another name."""
    async with mesh(tmp_path, builders()) as m:
        gateway = ConsentServiceStub(m.channel("consent", as_service="gateway", caller=m.caller("ten_1", ["consents:write"])))
        sending = ConsentServiceStub(m.channel("consent", as_service="sending", caller=m.caller("ten_1", ["decisions:read"])))
        stranger = ConsentServiceStub(m.channel("consent", as_service="gateway"))
        await gateway.RecordConsents(pb.RecordConsentsRequest(consents=[CONSENT]))
        [decision] = (await sending.GetDecisions(decisions(m))).decisions
        described = pb.DescribeTokenRequest(token=decision.opt_out_token.decode())
        assert (await stranger.DescribeToken(described)).list_name == ""
        for tenant_id, name in (("ten_2", "Theirs"), ("ten_1", "News")):
            data = ListCreated(list=List(list_id=LIST.list_id, name=name)).SerializeToString()
            event = new_event("postlaw.subscribers.ListCreated", data, source="subscribers", subject="x", sequence=1, tenant_id=tenant_id)
            await m.running.backing.bus.publish([to_record(event, LISTS, 0)])
        async with patience():
            while not (name := (await stranger.DescribeToken(described)).list_name):
                await asyncio.sleep(0.02)
        assert name == "News"
