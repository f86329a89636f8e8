"""Figures of campaigns: counted once from events, the same when they are counted again, and nobody in them who does not allow it."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from postlaw.consent.v1 import consent_pb2 as consent
from postlaw.sending.v1 import sending_pb2 as sending
from postlaw.sending.v1.sending_pb2_grpc import SendingServiceStub
from postlaw_common.bus import Received
from postlaw_common.errors import NotFound
from postlaw_common.events import new_event, to_record
from postlaw_common.testing.patience import patience
from postlaw_common.testing.promises import promise
from postlaw_common.testing.telemetry_memory import TelemetryMemory
from postlaw_sending.analytics.wire import CONSENT_EVENTS, counted, erased, tells
from postlaw_sending.campaigns.domain.recipients import State
from postlaw_sending.silence.wire import gone_in, signs_in
from postlaw_sending.worker.mailbox_providers import destinations
from services.sending.tests.campaigns.conftest import TENANT, World
from services.sending.tests.campaigns.played import FakeSubscribers, address_key

R = sending.MessageReturned
BY = sending.GetAnalyticsRequest


async def publish(world: World, topic: str, kind: str, said: Any, *, id: str = "") -> None:
    event = new_event(kind, said.SerializeToString(), source="sending", subject="x", sequence=0, tenant_id=TENANT, event_id=id or None)
    await world.bus.publish([to_record(event, topic, 0)])


async def analytics(world: World, campaign_id: str, **until: int) -> sending.CampaignAnalytics:
    """Once its totals say so."""
    async with patience():
        while True:
            found = await world.stub.GetCampaignAnalytics(sending.GetCampaignRequest(campaign_id=campaign_id))
            if all(getattr(found.totals, name) == number for name, number in until.items()):
                return found
            await asyncio.sleep(0.05)


def verdict(recipient: sending.JobRecipient, attempt: int) -> tuple[State, str]:
    return (State.BOUNCED, "550 no") if recipient.subscriber_id == "sub_3" else (State.SENT, "")


def reconciled(world: World, *, repair: bool = False) -> Any:
    stub = SendingServiceStub(world.mesh.channel("sending", as_service="operator"))
    return stub.ReconcileAnalytics(sending.ReconcileAnalyticsRequest(repair=repair))


@pytest.mark.parametrize("actor", [b"service:subscribers", b"api_key:key_1", b"person:"])
def test_what_is_left_unread_of_consents_tells_figures_and_signs_nothing(actor: bytes) -> None:
    headers = to_record(new_event("consent", b"", source="consent", subject="x", sequence=1, tenant_id=TENANT), CONSENT_EVENTS, 0).headers
    unread: set[int] = set()
    for kind in consent.ConsentEvent.Kind.values():
        event = consent.ConsentEvent(tenant_id=TENANT, address_key=address_key(1), kind=kind, campaign_id="cmp_1")
        record = Received(CONSENT_EVENTS, 0, 0, event.SerializeToString(), None, {**headers, "ce_actor": actor}, 1)
        if not tells(record):
            unread.add(kind)
            assert not (counted(record) or erased(record) or signs_in([record]) or gone_in([record]))
    recorded = {consent.ConsentEvent.KIND_GIVEN, consent.ConsentEvent.KIND_IMPLIED}
    assert unread == (set() if actor.startswith(b"person:") else recorded)


@promise("S8")
async def test_figures_are_counted_once_from_events_and_what_differs_from_them_is_found_and_repaired(open_world: Any) -> None:
    people = FakeSubscribers()
    people.add_list("lst_1", range(10))
    async with open_world(people) as world:
        campaign_id = await world.launched()
        await world.until(campaign_id, sending.Campaign.STATUS_FINISHED, verdict)
        returned = R(tenant_id=TENANT, campaign_id=campaign_id, kind=R.KIND_BOUNCE, outcome=R.CLASS_HARD)
        for _ in range(2):  # a lost process has published it, and so does the next
            await publish(world, "postlaw.sending.returns.v1", "postlaw.sending.MessageReturned", returned, id="evt_1")
        hits = sending.HitsRecorded(tenant_id=TENANT, campaign_id=campaign_id)
        for key, machine in ((1, ""), (1, ""), (2, ""), (3, "too-quick")):
            hits.hits.add(kind=sending.Hit.KIND_CLICK, link=0, address_key=address_key(key), machine=machine)
        hits.hits.add(kind=sending.Hit.KIND_CLICK, link=0)
        await publish(world, "postlaw.sending.tracking.v1", "postlaw.sending.HitsRecorded", hits)
        stopped = consent.ConsentEvent(tenant_id=TENANT, campaign_id=campaign_id, kind=consent.ConsentEvent.KIND_WITHDRAWN)
        await publish(world, "postlaw.consent.events.v1", "postlaw.consent.ConsentEvent", stopped)
        found = await analytics(
            world, campaign_id, sent=9, bounced=1, returned_hard=1, clicks=4, machine_clicks=1, unsubscribed=1, people_clicked=2
        )
        assert found.totals.delivered == 8
        assert sum(hour.figures.sent for hour in found.hours) == 9

        assert not (await reconciled(world)).differences
        sheets = world.store.collection("figures")
        [sheet, *_] = await sheets.find("campaign_id", campaign_id)
        wrong = {"cells": [[cell, number + 1] for cell, number in sheet["cells"]]}
        await sheets.replace(sheet | wrong, version=sheet["v"])
        said = await reconciled(world, repair=True)
        assert said.differences and {one.campaign_id for one in said.differences} == {campaign_id}
        assert not (await reconciled(world)).differences
        again = await analytics(world, campaign_id)
        assert again == found

        erased = consent.ConsentEvent(tenant_id=TENANT, address_key=address_key(1), kind=consent.ConsentEvent.KIND_ERASED)
        await publish(world, "postlaw.consent.events.v1", "postlaw.consent.ConsentEvent", erased)
        await analytics(world, campaign_id, clicks=4, people_clicked=1)


@promise("S8")
async def test_how_many_figures_differed_when_they_were_last_looked_at_is_measured(open_world: Any, telemetry: TelemetryMemory) -> None:
    people = FakeSubscribers()
    people.add_list("lst_1", range(3))
    async with open_world(people) as world:
        campaign_id = await world.launched()
        await world.until(campaign_id, sending.Campaign.STATUS_FINISHED)
        await analytics(world, campaign_id, sent=3)
        figure = "postlaw.sending.reconcile.differences"
        assert telemetry.value(figure) is None
        await reconciled(world)
        assert telemetry.value(figure) == 0
        sheets = world.store.collection("figures")
        for sheet in await sheets.find("campaign_id", campaign_id):
            await sheets.replace(sheet | {"cells": [[cell, number + 1] for cell, number in sheet["cells"]]}, version=sheet["v"])
        said = await reconciled(world)
        assert telemetry.value(figure) == len(said.differences) > 0


async def test_a_customer_reads_their_own_figures_alone_by_what_they_ask(open_world: Any) -> None:
    people = FakeSubscribers()
    people.add_list("lst_1", range(6))
    async with open_world(people) as world:
        campaign_id = await world.launched()
        await world.until(campaign_id, sending.Campaign.STATUS_FINISHED, verdict)
        await analytics(world, campaign_id, sent=5, bounced=1)
        expected = {BY.BY_UNSPECIFIED: campaign_id, BY.BY_LIST: "lst_1", BY.BY_SENDER_DOMAIN: "shop.example"}
        for by, key in expected.items():
            [row] = (await world.stub.GetAnalytics(BY(by=by))).rows
            assert (row.key, row.figures.sent, row.figures.bounced) == (key, 5, 1)
        other = world.as_tenant("ten_00000000000000000000000002")
        assert not (await other.GetAnalytics(BY())).rows
        with pytest.raises(NotFound):
            await other.GetCampaignAnalytics(sending.GetCampaignRequest(campaign_id=campaign_id))
        text = b"".join([chunk.data async for chunk in world.stub.ExportAnalytics(BY())]).decode()
        head, line = text.splitlines()
        assert head.startswith("key,sent,refused") and line.startswith(f"{campaign_id},5,0")


def test_a_domain_of_few_people_is_not_named() -> None:
    people = [(f"p{n}@Gmail.com", State.SENT) for n in range(2)] + [
        ("x@googlemail.com", State.BOUNCED),
        ("ann@smith-family.example", State.SENT),
    ]
    people += [(f"p{n}@big.example", State.SENT if n else State.BOUNCED) for n in range(5)] + [("", State.REFUSED)]
    assert destinations(people) == Counter({
        ("gmail", State.SENT): 2, ("gmail", State.BOUNCED): 1, ("other", State.SENT): 1, ("big.example", State.SENT): 4,
        ("big.example", State.BOUNCED): 1, ("other", State.REFUSED): 1,
    })  # fmt: skip
