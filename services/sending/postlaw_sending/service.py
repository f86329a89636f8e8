"""Sending, wired by hand. `build` opens nothing."""

from __future__ import annotations

from postlaw.sending.v1.sending_pb2_grpc import add_SendingServiceServicer_to_server
from postlaw_common.platform import Platform
from postlaw_common.service import Background, Service, Servicer
from postlaw_sending.campaigns import assembly as campaigns
from postlaw_sending.servicer import SendingServicer
from postlaw_sending.settings import SendingSettings
from postlaw_sending.singles import assembly as singles
from postlaw_sending.singles.domain import is_attempt
from postlaw_sending.singles.opening import opener, status
from postlaw_sending.stop import assembly as stop
from postlaw_sending.stop.holdings import HOLDINGS

DATABASE = "sending"


def build(platform: Platform, settings: SendingSettings) -> Service:
    single = singles.assemble_singles(platform, DATABASE)
    parts = campaigns.assemble(
        platform, DATABASE, HOLDINGS, settings.planner_backlog, is_single=is_attempt, settle_single=single.singles.settle
    )
    stopping = stop.assemble_stop(platform, DATABASE)
    serving = settings.role in ("all", "api")
    working = settings.role in ("all", "worker")
    opening = opener(single.singles, parts.opener.open, platform.public_url)
    worker = stop.WorkerParts(platform, DATABASE, settings.relay(), opening, status(parts.watch.status, platform.now_us))
    servicer = SendingServicer(
        create=parts.create,
        move=parts.move,
        read=parts.read,
        send=single.send,
        await_stopped=stopping.answer,
        attest=stopping.attest,
        list_holdings=stopping.holdings_now,
    )
    topics = {topic.name: topic for topic in (*stop.TOPICS, *campaigns.TOPICS)}

    return Service(
        name="sending",
        databases={DATABASE: (*campaigns.COLLECTIONS, *singles.COLLECTIONS, *stop.COLLECTIONS)},
        topics=tuple(topics.values()),
        servicers=(Servicer("postlaw.sending.v1.SendingService", add_SendingServiceServicer_to_server, servicer),) if serving else (),
        consumers=parts.consumers if serving else (),
        backgrounds=(
            *parts.always,
            *((stopping.answering, *parts.planning, single.sweeping) if serving else ()),
            *((Background("worker", worker.run),) if working else ()),
        ),
        on_start=stopping.ensure,
    )
