"""From an event on the bus to the customer's own server: signed, in order for each person, and tried again until it is taken."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import itertools
import json
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from postlaw.consent.v1 import consent_pb2 as consent
from postlaw.sending.v1 import sending_pb2 as sending
from postlaw.sending.v1.sending_pb2_grpc import SendingServiceStub
from postlaw_common.errors import Invalid, NotFound
from postlaw_common.events import new_event, to_record
from postlaw_common.testing.patience import patience
from postlaw_common.testing.promises import promise
from services.sending.tests.campaigns.conftest import TENANT, World
from services.sending.tests.campaigns.played import address_key

OTHER = "ten_00000000000000000000000002"
E = consent.ConsentEvent


class Customer:
    """A server of the customer's. `refuses`: the person of whom it takes nothing, by address key in hex; `refusal`: with what status."""

    def __init__(self) -> None:
        self.taken: list[tuple[dict[str, str], bytes]] = []
        self.refuses = ""
        self.refusal = b"503 No"
        self.refused = 0
        self.port = 0

    @property
    def said(self) -> list[tuple[str, str]]:
        """(address key, kind) of each opt-out, as they came."""
        data = [json.loads(body)["data"] for _, body in self.taken]
        return [(one["address_key"], one["kind"]) for one in data]

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        sent = {line.partition(": ")[0].lower(): line.partition(": ")[2] for line in head[1:] if line}
        body = await reader.readexactly(int(sent["content-length"]))
        refused = bool(self.refuses) and self.refuses in body.decode()
        self.refused += refused
        if not refused:
            self.taken.append((sent, body))
        writer.write(b"HTTP/1.1 %b\r\ncontent-length: 0\r\n\r\n" % self.refusal if refused else b"HTTP/1.1 204 Yes\r\n\r\n")
        await writer.drain()
        writer.close()


@asynccontextmanager
async def serving() -> AsyncGenerator[Customer]:
    customer = Customer()
    server = await asyncio.start_server(customer.answer, "127.0.0.1", 0)
    customer.port = server.sockets[0].getsockname()[1]
    async with server:
        yield customer


def stub_of(world: World, tenant_id: str = TENANT) -> Any:
    caller = world.mesh.caller(tenant_id, ["webhooks:read", "webhooks:write"])
    return SendingServiceStub(world.mesh.channel("sending", caller=caller))


async def opt_out(world: World, number: int, kind: Any, tenant_id: str = TENANT) -> None:
    said = E(tenant_id=tenant_id, address_key=address_key(number), kind=kind, scope=consent.Scope(everything=True))
    data = said.SerializeToString()
    event = new_event("postlaw.consent.ConsentEvent", data, source="consent", subject="x", sequence=0, tenant_id=tenant_id)
    await world.bus.publish([to_record(event, "postlaw.consent.events.v1", 0)])


async def until(done: Any) -> None:
    async with patience():
        while not done():
            await asyncio.sleep(0.02)


@promise("X7")
async def test_opt_outs_reach_the_customers_server_signed_and_in_order_for_each_person(open_world: Any) -> None:
    async with serving() as server, open_world(webhooks_into_our_network="allow") as world:
        stub = stub_of(world)
        made = await stub.CreateWebhook(sending.CreateWebhookRequest(url=f"http://127.0.0.1:{server.port}/hook"))
        asked = sending.WebhookRequest(webhook_id=made.webhook.webhook_id)
        one, two = address_key(1).hex(), address_key(2).hex()
        server.refuses = one
        for number, kind in ((1, E.KIND_WITHDRAWN), (2, E.KIND_PAUSED), (1, E.KIND_ERASED), (2, E.KIND_GIVEN), (2, E.KIND_WITHDRAWN)):
            await opt_out(world, number, kind)
        await opt_out(world, 3, E.KIND_WITHDRAWN, OTHER)
        await until(lambda: len(server.taken) == 2 and server.refused)
        assert server.said == [(two, "paused"), (two, "withdrawn")]
        assert (await stub.GetWebhook(asked)).waiting == 2
        server.refuses = ""
        await stub.RedeliverWebhook(asked)
        await until(lambda: len(server.taken) == 4)
        assert server.said[2:] == [(one, "withdrawn"), (one, "erased")]
        secret = base64.b64decode(made.secret.removeprefix("whsec_"))
        for sent, body in server.taken:
            said = f"{sent['webhook-id']}.{sent['webhook-timestamp']}.".encode() + body
            assert sent["webhook-signature"] == "v1," + base64.b64encode(hmac.new(secret, said, hashlib.sha256).digest()).decode()
            assert b"@" not in body
        again = await stub.RotateWebhookSecret(asked)
        assert again.secret != made.secret
        await opt_out(world, 1, E.KIND_WITHDRAWN)
        await until(lambda: len(server.taken) == 5)
        assert len(server.taken[-1][0]["webhook-signature"].split(" ")) == 2


@promise("X7")
async def test_a_webhook_is_told_of_what_it_was_made_for_alone(open_world: Any) -> None:
    async with serving() as server, open_world(webhooks_into_our_network="allow") as world:
        stub, url = stub_of(world), f"http://127.0.0.1:{server.port}/hook"
        with pytest.raises(Invalid):
            await stub.CreateWebhook(sending.CreateWebhookRequest(url=url, event_types=["person.moved"]))
        made = await stub.CreateWebhook(sending.CreateWebhookRequest(url=url, event_types=["campaign.changed"]))
        webhook_id = made.webhook.webhook_id
        await opt_out(world, 1, E.KIND_WITHDRAWN)
        world.people.add_list("lst_1", range(1))
        campaign_id = await world.launched()
        await until(lambda: any(campaign_id in body.decode() for _, body in server.taken))
        assert {json.loads(body)["type"] for _, body in server.taken} == {"campaign.changed"}
        asked = sending.SetWebhookEventTypesRequest(webhook_id=webhook_id, event_types=["person.opted_out"])
        with pytest.raises(NotFound):
            await stub_of(world, OTHER).SetWebhookEventTypes(asked)
        assert list((await stub.SetWebhookEventTypes(asked)).event_types) == ["person.opted_out"]
        await opt_out(world, 2, E.KIND_WITHDRAWN)
        await until(lambda: json.loads(server.taken[-1][1])["type"] == "person.opted_out")
        assert (await stub.SetWebhookEventTypes(sending.SetWebhookEventTypesRequest(webhook_id=webhook_id))).event_types == []


async def test_a_webhook_is_its_own_customers_alone_and_leads_out_of_our_network(open_world: Any) -> None:
    async with open_world() as world:
        stub, other = stub_of(world), stub_of(world, OTHER)
        with pytest.raises(Invalid):
            await stub.CreateWebhook(sending.CreateWebhookRequest(url="http://shop.example/"))
        made = await stub.CreateWebhook(sending.CreateWebhookRequest(url="https://shop.example/"))
        asked = sending.WebhookRequest(webhook_id=made.webhook.webhook_id)
        for call in (other.GetWebhook, other.DeleteWebhook, other.RotateWebhookSecret, other.RedeliverWebhook):
            with pytest.raises(NotFound):
                await call(asked)
        assert not (await other.ListWebhooks(sending.ListWebhooksRequest())).webhooks
        assert [one.url for one in (await stub.ListWebhooks(sending.ListWebhooksRequest())).webhooks] == ["https://shop.example/"]
        await stub.DeleteWebhook(asked)
        with pytest.raises(NotFound):
            await stub.GetWebhook(asked)


async def test_a_webhook_that_takes_nothing_for_three_days_is_disabled_until_it_is_asked_for_again(open_world: Any) -> None:
    ahead_us = 0
    async with (
        serving() as server,
        open_world(webhooks_into_our_network="allow", now_us=lambda: time.time_ns() // 1000 + ahead_us) as world,
    ):
        stub = stub_of(world)
        made = await stub.CreateWebhook(sending.CreateWebhookRequest(url=f"http://127.0.0.1:{server.port}/hook"))
        asked = sending.WebhookRequest(webhook_id=made.webhook.webhook_id)
        server.refuses = address_key(1).hex()
        for _ in range(2):
            await opt_out(world, 1, E.KIND_WITHDRAWN)
        await until(lambda: server.refused == 1)
        assert not (await stub.GetWebhook(asked)).disabled_because
        ahead_us = 4 * 86_400 * 1_000_000
        await until(lambda: server.refused == 2)
        async with patience():
            while not (await stub.GetWebhook(asked)).disabled_because:
                await asyncio.sleep(0.02)
        server.refuses = ""
        assert not (await stub.RedeliverWebhook(asked)).disabled_because
        await until(lambda: len(server.taken) == 2)


async def test_a_webhook_whose_server_says_that_it_is_gone_is_disabled_at_once(open_world: Any) -> None:
    """RFC 9110 §15.5.11."""
    async with serving() as server, open_world(webhooks_into_our_network="allow") as world:
        stub = stub_of(world)
        made = await stub.CreateWebhook(sending.CreateWebhookRequest(url=f"http://127.0.0.1:{server.port}/hook"))
        asked = sending.WebhookRequest(webhook_id=made.webhook.webhook_id)
        server.refuses, server.refusal = address_key(1).hex(), b"410 Gone"
        await opt_out(world, 1, E.KIND_WITHDRAWN)
        async with patience():
            while not (await stub.GetWebhook(asked)).disabled_because:
                await asyncio.sleep(0.02)
        assert server.refused == 1


@promise("A1")
async def test_the_log_learns_who_changed_a_webhook_from_what_to_what_and_never_its_url(open_world: Any) -> None:
    async with open_world() as world:
        stub = stub_of(world)
        made = await stub.CreateWebhook(sending.CreateWebhookRequest(url="https://shop.example/hook?password=1"))
        asked = sending.WebhookRequest(webhook_id=made.webhook.webhook_id)
        types = ["person.opted_out"]
        await stub.SetWebhookEventTypes(sending.SetWebhookEventTypesRequest(webhook_id=asked.webhook_id, event_types=types))
        await stub.RotateWebhookSecret(asked)
        await stub.RedeliverWebhook(asked)
        await stub.DeleteWebhook(asked)
        with pytest.raises(NotFound):
            await stub.GetWebhook(asked)
        events = await world.events("postlaw.sending.webhooks.v1")
        changes = [sending.WebhookChanged.FromString(event.data) for event in events]
        C = sending.WebhookChanged
        assert [one.change for one in changes] == [
            C.CHANGE_CREATED, C.CHANGE_EVENT_TYPES_SET, C.CHANGE_SECRET_ROTATED, C.CHANGE_REDELIVERY_ASKED, C.CHANGE_DELETED,
        ]  # fmt: skip
        assert [(event.subject, event.sequence, event.tenant_id) for event in events] == [
            (asked.webhook_id, n, TENANT) for n in range(1, 6)
        ]
        assert {event.actor.partition(":")[0] for event in events} == {"api_key"}
        for earlier, later in itertools.pairwise(changes):
            assert earlier.after == later.before
        assert not changes[0].HasField("before")
        assert not changes[-1].HasField("after")
        assert (changes[1].before.event_types, changes[1].after.event_types) == ([], types)
        assert (changes[2].before.secrets, changes[2].after.secrets) == (1, 2)
        assert changes[0].after.host == "shop.example"
        assert not any(b"password" in event.data for event in events)
