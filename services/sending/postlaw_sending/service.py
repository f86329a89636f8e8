"""Sending, wired by hand. `build` opens nothing."""

from __future__ import annotations

from postlaw.consent.v1 import consent_pb2 as consent
from postlaw.sending.v1 import sending_pb2 as sending
from postlaw.sending.v1.sending_pb2_grpc import add_SendingServiceServicer_to_server
from postlaw_common.platform import Platform
from postlaw_common.service import Service, Servicer
from postlaw_sending.campaigns import assembly as campaigns
from postlaw_sending.servicer import SendingServicer
from postlaw_sending.settings import SendingSettings
from postlaw_sending.stop.holdings import HOLDINGS

DATABASE = "sending"


def build(platform: Platform, settings: SendingSettings) -> Service:
    parts = campaigns.assemble(platform, DATABASE, HOLDINGS, settings.planner_backlog)
    serving = settings.role in ("all", "api")

    # The stop and the worker go here: `await_stopped` and `attest` for the API, a Worker over `parts.opener.open` and
    # `parts.watch.status` where the role is "all" or "worker".
    servicer = SendingServicer(
        create=parts.create, move=parts.move, read=parts.read, await_stopped=_cannot_tell, attest=_nothing_open
    )

    return Service(
        name="sending",
        databases={DATABASE: (*campaigns.COLLECTIONS, HOLDINGS)},
        topics=campaigns.TOPICS,
        servicers=(Servicer("postlaw.sending.v1.SendingService", add_SendingServiceServicer_to_server, servicer),) if serving else (),
        consumers=parts.consumers if serving else (),
        backgrounds=(*parts.always, *(parts.planning if serving else ())),
    )


async def _cannot_tell(request: sending.AwaitStoppedRequest) -> sending.AwaitStoppedResponse:
    return sending.AwaitStoppedResponse(outcome=consent.OUTCOME_RECORDED, reason="no worker runs in this installation")


async def _nothing_open(request: sending.AttestWorkerEndRequest) -> sending.AttestWorkerEndResponse:
    return sending.AttestWorkerEndResponse()
