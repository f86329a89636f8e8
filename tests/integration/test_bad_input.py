"""What comes in that should not, at the doors of the whole mesh: other customers' ids, keys that have ended, links that are damaged
or outlived whom they name."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from postlaw.audit.v1 import audit_pb2
from postlaw.consent.v1 import consent_pb2
from postlaw.consent.v1.consent_pb2_grpc import ConsentServiceStub
from postlaw.identity.v1 import identity_pb2
from postlaw.identity.v1.identity_pb2_grpc import IdentityServiceStub
from postlaw_common.bus import Received
from postlaw_common.ids import new_id
from postlaw_common.testing.mesh import Mesh, mesh
from postlaw_common.testing.patience import patience
from postlaw_common.testing.promises import promise
from postlaw_gateway.security_events import TOLD_AT_ONCE
from postlaw_identity.domain.scopes import CUSTOMER
from postlaw_mesh.builders import builders

PUBLIC_URL = "https://mail.example.net"
SECURITY = "postlaw.gateway.security.v1"
ONE_CLICK = {"List-Unsubscribe": "One-Click"}
SENDER = {"name": "Acme", "address": "news@acme.example", "postal_address": "1 High Street, London"}


@dataclass
class Customer:
    tenant_id: str
    http: httpx.AsyncClient

    async def post(self, path: str, **json: Any) -> dict[str, Any]:
        answer = await self.http.post(path, json=json)
        assert answer.is_success, answer.text
        return answer.json()

    async def link(self, list_id: str, subscriber_id: str) -> str:
        """The path of this person's own unsubscribe link."""
        made = await self.post("/v1/opt-out-links", subscriber_id=subscriber_id, scope={"list_id": list_id})
        return httpx.URL(made["url"]).path


class Doors:
    """The whole mesh in this process, with as many customers as a test asks for."""

    def __init__(self, m: Mesh) -> None:
        self.mesh = m
        self.clients: list[httpx.AsyncClient] = []

    async def key(self, tenant_id: str, **fields: Any) -> identity_pb2.CreateApiKeyResponse:
        caller = self.mesh.caller(tenant_id, CUSTOMER)
        stub: Any = IdentityServiceStub(self.mesh.channel("identity", caller=caller))
        return await stub.CreateApiKey(identity_pb2.CreateApiKeyRequest(name="test", scopes=sorted(CUSTOMER), **fields))

    def client(self, secret: str = "") -> httpx.AsyncClient:
        headers = {"authorization": f"Bearer {secret}"} if secret else {}
        made = httpx.AsyncClient(base_url=self.mesh.http_url(), headers=headers, timeout=30)
        self.clients.append(made)
        return made

    async def customer(self, name: str) -> Customer:
        operator = self.mesh.caller("", ["platform:admin"])
        stub: Any = IdentityServiceStub(self.mesh.channel("identity", as_service="operator", caller=operator))
        tenant_id = (await stub.CreateTenant(identity_pb2.CreateTenantRequest(name=name))).tenant_id
        return Customer(tenant_id, self.client((await self.key(tenant_id)).secret))

    async def refusals(self, count: int) -> list[tuple[str, audit_pb2.AccessRefused]]:
        """The first so many of the security topic, with their events' ids; waits for them."""
        bus = self.mesh.running.backing.bus
        async with patience():
            while True:
                found = [each for partition in range(bus.partitions) for each in await bus.read_range(SECURITY, partition, 0, 1000)]
                if len(found) >= count:
                    return [(_event_id(record), audit_pb2.AccessRefused.FromString(record.value)) for record in found]
                await asyncio.sleep(0.05)


def _event_id(record: Received) -> str:
    return record.headers["ce_id"].decode()


@pytest.fixture
async def doors(tmp_path: Path) -> AsyncIterator[Doors]:
    async with mesh(tmp_path, list(builders().values()), public_url=PUBLIC_URL) as m:
        made = Doors(m)
        yield made
        for client in made.clients:
            await client.aclose()


async def answered(ask: Callable[[], Any], status: int) -> httpx.Response:
    """Asks until the answer has this status."""
    async with patience():
        while (answer := await ask()).status_code != status:
            await asyncio.sleep(0.05)
    return answer


@promise("S3")
async def test_another_customers_ids_are_not_there_and_the_audit_log_proves_who_asked(doors: Doors) -> None:
    ours, theirs = await doors.customer("Ours"), await doors.customer("Theirs")
    list_id = (await ours.post("/v1/lists", name="News"))["list_id"]
    person = (await ours.post("/v1/subscribers", address="ada@example.com", list_ids=[list_id]))["subscriber_id"]
    template = {"subject": "s", "text": "t"}
    campaign = (await ours.post("/v1/campaigns", name="June", list_id=list_id, sender=SENDER, template=template))["campaign_id"]
    upload = await ours.http.post("/v1/imports", params={"list_id": list_id}, content=b"email\n", headers={"content-type": "text/csv"})
    taken = upload.json()["import_id"]
    api_key = (await ours.post("/v1/api-keys", name="another", scopes=["lists:read"]))["api_key"]["api_key_id"]
    asked: list[tuple[str, str, dict[str, Any], str]] = [
        ("GET", f"/v1/lists/{list_id}", {}, list_id),
        ("GET", f"/v1/subscribers/{person}", {}, person),
        ("PUT", f"/v1/subscribers/{person}", {"json": {"address": "eve@example.com"}}, person),
        ("DELETE", f"/v1/subscribers/{person}", {}, person),
        ("GET", f"/v1/subscribers/{person}/consents", {}, person),
        ("POST", "/v1/subscribers", {"json": {"address": "eve@example.com", "list_ids": [list_id]}}, list_id),
        ("POST", "/v1/consents/withdraw", {"json": {"subscriber_id": person, "scope": {"everything": True}}}, person),
        ("POST", "/v1/decisions/explain", {"json": {"subscriber_id": person, "scope": {"everything": True}}}, person),
        *(
            ("POST", path, {"json": {"consents": [{"subscriber_id": person, "scope": {"everything": True}}]}}, person)
            for path in ("/v1/consents", "/v1/relationships")
        ),
        ("POST", "/v1/opt-out-links", {"json": {"subscriber_id": person, "scope": {"everything": True}}}, person),
        ("GET", f"/v1/imports/{taken}", {}, taken),
        ("GET", f"/v1/imports/{taken}/errors", {}, taken),
        ("POST", f"/v1/imports/{taken}/cancel", {}, taken),
        ("GET", f"/v1/campaigns/{campaign}", {}, campaign),
        ("GET", f"/v1/campaigns/{campaign}/recipients", {}, campaign),
        *(("POST", f"/v1/campaigns/{campaign}/{deed}", {}, campaign) for deed in ("launch", "pause", "resume", "cancel")),
        ("DELETE", f"/v1/api-keys/{api_key}", {}, api_key),
    ]
    answers = {f"{verb} {path}": await theirs.http.request(verb, path, **options) for verb, path, options, _ in asked}
    assert {name: answer.status_code for name, answer in answers.items() if answer.status_code != 404} == {}
    assert (await ours.http.get(f"/v1/subscribers/{person}")).json()["address"] == "ada@example.com"
    assert (await ours.http.get(f"/v1/campaigns/{campaign}")).json()["status"] == "draft"

    told = await doors.refusals(len(asked))
    assert {(refused.kind, refused.tenant_id) for _, refused in told} == {("foreign_id", theirs.tenant_id)}
    assert sorted(refused.object_id for _, refused in told) == sorted(id for *_, id in asked)
    for event_id, _ in told:
        proof = await answered(lambda path=f"/v1/audit/events/{event_id}/proof": theirs.http.get(path), 200)
        assert proof.json()["topic"] == SECURITY


async def why_refused(http: httpx.AsyncClient) -> str:
    answer = await answered(lambda: http.get("/v1/lists"), 401)
    return answer.json()["type"].rpartition("/")[2]


async def that_ends(doors: Doors, tenant_id: str) -> httpx.AsyncClient:
    """With a key that has opened the door once, and ends soon: in two seconds, or as many more as the machine needs for that."""
    for seconds in (2, 8, 32):
        made = await doors.key(tenant_id, expires_at=Timestamp(seconds=int(time.time()) + seconds))
        http = doors.client(made.secret)
        if (await http.get("/v1/lists")).status_code == 200:
            return http
    raise AssertionError("no key opens the door before it ends")


@promise("S3", "X6")
async def test_a_key_that_was_revoked_or_has_expired_opens_nothing_and_that_is_told(doors: Doors) -> None:
    customer = await doors.customer("Ours")
    revoked = await doors.key(customer.tenant_id)
    http = doors.client(revoked.secret)
    assert (await http.get("/v1/lists")).status_code == 200
    assert (await customer.http.delete(f"/v1/api-keys/{revoked.api_key.api_key_id}")).status_code == 200
    assert await why_refused(http) == "revoked-key"
    assert await why_refused(await that_ends(doors, customer.tenant_id)) == "expired-key"
    assert {refused.kind for _, refused in await doors.refusals(2)} == {"revoked_key", "expired_key"}


@promise("M5")
async def test_a_link_outlives_the_person_and_the_customer_whom_it_names(doors: Doors) -> None:
    customer = await doors.customer("Ours")
    list_id = (await customer.post("/v1/lists", name="News"))["list_id"]
    person = (await customer.post("/v1/subscribers", address="ada@example.com", list_ids=[list_id]))["subscriber_id"]
    of_an_erased = await customer.link(list_id, person)
    assert (await customer.http.delete(f"/v1/subscribers/{person}")).status_code == 204

    gone = doors.mesh.caller(new_id("ten"), ["consents:write"])  # identity knows no such customer, as after its deletion
    consent: Any = ConsentServiceStub(doors.mesh.channel("consent", caller=gone))
    scope = consent_pb2.Scope(list_id=new_id("lst"))
    made = await consent.CreateOptOutLink(consent_pb2.CreateOptOutLinkRequest(address="ada@example.com", scope=scope))

    for path in (of_an_erased, httpx.URL(made.url).path):
        stranger = doors.client()
        assert (await stranger.get(path)).status_code == 200
        answer = await stranger.post(path, data=ONE_CLICK)
        assert (answer.status_code, answer.json()["outcome"], answer.json()["already_withdrawn"]) == (200, "stopped", False)


async def test_a_damaged_link_stops_nobody_and_is_told(doors: Doors) -> None:
    customer, stranger = await doors.customer("Ours"), doors.client()
    list_id = (await customer.post("/v1/lists", name="News"))["list_id"]
    person = (await customer.post("/v1/subscribers", address="ada@example.com", list_ids=[list_id]))["subscriber_id"]
    link = await customer.link(list_id, person)
    middle = len(link) // 2
    altered = link[:middle] + ("A" if link[middle] != "A" else "B") + link[middle + 1 :]
    damaged = [link[:-1], link[:middle], altered, link + "A"]
    assert [(await stranger.post(path, data=ONE_CLICK)).status_code for path in damaged] == [404] * len(damaged)
    assert [refused.kind for _, refused in await doors.refusals(TOLD_AT_ONCE)] == ["bad_token"] * TOLD_AT_ONCE
    assert not (await stranger.post(link, data=ONE_CLICK)).json()["already_withdrawn"]


async def test_a_links_host_is_the_platforms_whatever_host_was_asked(doors: Doors) -> None:
    customer = await doors.customer("Ours")
    for header in ("host", "x-forwarded-host", "forwarded"):
        asked = {"address": "ada@example.com", "scope": {"everything": True}}
        answer = await customer.http.post("/v1/opt-out-links", json=asked, headers={header: "mail.customer.example"})
        assert answer.json()["url"].startswith(f"{PUBLIC_URL}/u/")
