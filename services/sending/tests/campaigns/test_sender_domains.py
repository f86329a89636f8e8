"""Campaigns go from verified domains alone: over a DNS server on loopback, asked by the resolver that asks in earnest."""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING

import pytest

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.errors import Conflict, Invalid, NotFound, Unavailable
from postlaw_common.testing.patience import patience
from postlaw_common.testing.promises import promise
from postlaw_sending.domains.assembly import DomainParts, assemble_domains
from postlaw_sending.domains.checking import Expected
from postlaw_sending.domains.dns import Resolver
from postlaw_sending.domains.sender_domains import DOMAIN_DOCUMENTS
from postlaw_sending.domains.watching import DomainWatch
from postlaw_sending.domains.wire import DOMAINS
from postlaw_sending.testing.dns_server import DnsServer, dns_server

if TYPE_CHECKING:
    from .conftest import Opened, World

C, D = sending.Campaign, sending.SenderDomain
SHOP = sending.SenderDomainRequest(domain="shop.example")
HOUR_US = 3600 * 1_000_000


class Clock:
    def __init__(self) -> None:
        self.ahead_us = 0

    def __call__(self) -> int:
        return time.time_ns() // 1000 + self.ahead_us


def publish(server: DnsServer, domain: sending.SenderDomain) -> None:
    """Everything that a verified domain has in the DNS."""
    for record in domain.dns_records:
        server.put_text(record.name, record.value)
    server.put_text("shop.example", "v=spf1 ip4:192.0.2.1 -all")
    server.put_text("_dmarc.shop.example", "v=DMARC1; p=none")
    server.put("shop.example", "A", "192.0.2.2")


async def verified(world: World, server: DnsServer) -> sending.SenderDomain:
    publish(server, await world.stub.RegisterSenderDomain(SHOP))
    found = await world.stub.CheckSenderDomain(SHOP)
    assert found.state == D.STATE_VERIFIED, found.checks
    return found


def watched(world: World, server: DnsServer) -> tuple[DomainParts, DomainWatch]:
    """As another process has them."""
    parts = assemble_domains(world.platform, "sending", Resolver([server.address], timeout_s=2.0), Expected())
    return parts, DomainWatch(parts.domains, parts.keep, world.parts.pause_senders, world.platform.now_us)


@promise("M1")
async def test_nothing_is_launched_or_resumed_from_a_domain_that_is_not_verified_for_this_customer(open_world: Opened) -> None:
    async with dns_server() as server, open_world(dns=server.address, unverified_domains="deny") as world:
        world.people.add_list("lst_1", range(10))
        draft = await world.draft()
        asked = sending.GetCampaignRequest(campaign_id=draft.campaign_id)
        with pytest.raises(Conflict) as refused:
            await world.stub.LaunchCampaign(asked)
        assert refused.value.type == "domain-not-verified"
        items = (await world.stub.GetChecklist(asked)).items
        assert [item.id for item in items if item.state == sending.Checklist.STATE_FAIL] == ["domain"]
        assert (await world.get(draft.campaign_id)).status == C.STATUS_DRAFT
        await world.stub.RegisterSenderDomain(SHOP)
        with pytest.raises(Conflict, match="unverified"):
            await world.stub.LaunchCampaign(asked)
        await verified(world, server)
        await world.as_tenant("ten_00000000000000000000000002").RegisterSenderDomain(SHOP)  # verified for another is not for them
        other = await world.as_tenant("ten_00000000000000000000000002").CheckSenderDomain(SHOP)
        assert other.state == D.STATE_UNVERIFIED
        assert (await world.stub.LaunchCampaign(asked)).status == C.STATUS_SENDING


@promise("M1")
async def test_a_domain_that_fails_twice_pauses_its_campaigns_and_passing_again_resumes_none(open_world: Opened) -> None:
    clock = Clock()
    async with dns_server() as server, open_world(dns=server.address, unverified_domains="deny", now_us=clock) as world:
        world.people.add_list("lst_1", range(10))
        registered = await verified(world, server)
        campaign_id = await world.launched()
        _, watch = watched(world, server)
        server.put("_dmarc.shop.example", "TXT")
        for state, status in ((D.STATE_VERIFIED, C.STATUS_SENDING), (D.STATE_FAILING, C.STATUS_PAUSED)):
            await watch.look()  # not due: nothing is asked
            clock.ahead_us += 6 * HOUR_US
            await watch.look()
            assert (await world.stub.GetSenderDomain(SHOP)).state == state
            assert (await world.get(campaign_id)).status == status
        assert (await world.get(campaign_id)).paused_because == "domain-failing: shop.example"
        with pytest.raises(Conflict, match="failing"):
            await world.stub.ResumeCampaign(sending.GetCampaignRequest(campaign_id=campaign_id))
        publish(server, registered)
        clock.ahead_us += 6 * HOUR_US
        await watch.look()
        assert (await world.stub.GetSenderDomain(SHOP)).state == D.STATE_VERIFIED
        assert (await world.get(campaign_id)).status == C.STATUS_PAUSED
        resumed = await world.stub.ResumeCampaign(sending.GetCampaignRequest(campaign_id=campaign_id))
        assert resumed.status == C.STATUS_SENDING and not resumed.paused_because


@promise("M1")
async def test_what_the_dns_does_not_say_is_never_held_against_a_domain(open_world: Opened) -> None:
    clock = Clock()
    async with dns_server() as server, open_world(dns=server.address, now_us=clock) as world:
        found = await verified(world, server)
        server.troubles["_dmarc.shop.example"] = "silence"
        for record in found.dns_records:
            server.troubles[record.name] = "servfail"
        _, watch = watched(world, server)
        for _ in range(3):
            clock.ahead_us += 6 * HOUR_US
            await watch.look()
        found = await world.stub.GetSenderDomain(SHOP)
        assert found.state == D.STATE_VERIFIED
        unknown = {check.id.partition(":")[0] for check in found.checks if check.result == sending.DomainCheck.RESULT_UNKNOWN}
        assert unknown == {"dkim", "dmarc"}


async def test_new_keys_sign_once_they_are_published_and_the_old_ones_stay_for_seven_days(open_world: Opened) -> None:
    clock = Clock()
    async with dns_server() as server, open_world(dns=server.address, now_us=clock) as world:
        first = await verified(world, server)
        old = [record.name.partition(".")[0] for record in first.dns_records]
        parts, _ = watched(world, server)

        async def selectors() -> list[str]:
            found = await parts.domains.get(first.tenant_id, first.domain)
            return [key.selector for key in found.signing]

        assert await selectors() == old
        rotated = await world.stub.RotateDkimKeys(SHOP)
        assert await world.stub.RotateDkimKeys(SHOP) == rotated  # a repeated request
        assert (await world.stub.CheckSenderDomain(SHOP)).state == D.STATE_VERIFIED  # though the new one is not there yet
        assert await selectors() == old
        publish(server, rotated)
        taken = await world.stub.CheckSenderDomain(SHOP)
        new = await selectors()
        assert len(new) == 2 and not set(new) & set(old)
        uses = [record.use for record in taken.dns_records]
        assert uses == [sending.DnsRecord.USE_ENDS] * 2 + [sending.DnsRecord.USE_SIGNS] * 2
        clock.ahead_us += 7 * 24 * HOUR_US + 1_000_000
        names = [record.name for record in (await world.stub.CheckSenderDomain(SHOP)).dns_records]
        assert names == [f"{name}._domainkey.shop.example" for name in new]


@promise("A1")
async def test_the_log_is_told_which_keys_a_domain_had_and_from_when_until_when_they_signed(open_world: Opened) -> None:
    clock = Clock()
    async with dns_server() as server, open_world(dns=server.address, now_us=clock) as world:
        first = await verified(world, server)
        publish(server, await world.stub.RotateDkimKeys(SHOP))
        await world.stub.CheckSenderDomain(SHOP)
        clock.ahead_us += 7 * 24 * HOUR_US + 1_000_000
        last = await world.stub.CheckSenderDomain(SHOP)
        told = sorted(await announced(world), key=lambda event: event.version)
        assert [event.version for event in told] == [
            1,
            2,
            3,
            4,
            5,
        ]  # registered, published, two more made, those published, the first retired
        assert [len(event.keys) for event in told] == [2, 2, 4, 4, 2]
        of_first = [next((key for key in event.keys if first.dns_records[0].name.startswith(f"{key.selector}.")), None) for event in told]
        assert [bool(key and key.published_at_us) for key in of_first] == [False, True, True, True, False]
        assert [bool(key and key.superseded_at_us) for key in of_first] == [False, False, False, True, False]
        assert all(key.record == first.dns_records[0].value and key.made_at_us for key in of_first if key is not None)
        assert [key.record for key in told[-1].keys] == [record.value for record in last.dns_records]


async def announced(world: World) -> list[sending.SenderDomainChanged]:
    return [
        sending.SenderDomainChanged.FromString(record.value)
        for partition in range(world.bus.partitions)
        for record in await world.bus.read_range(DOMAINS, partition, 0, 100)
    ]


@promise("X2")
async def test_no_private_key_stands_in_the_store_or_on_the_bus(open_world: Opened) -> None:
    async with dns_server() as server, open_world(dns=server.address) as world:
        found = await verified(world, server)
        parts, _ = watched(world, server)
        kept = await parts.domains.get(found.tenant_id, found.domain)
        with pytest.raises(ValueError, match=r"."):
            [_loaded(key.sealed) for key in kept.keys]
        events = await announced(world)
        assert [event.state for event in events] == [D.STATE_UNVERIFIED, D.STATE_VERIFIED]
        assert len(events[1].selectors) == 2
        assert all(key.sealed not in record.SerializeToString() for key in kept.keys for record in events)


def _loaded(private: bytes) -> object:
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    return load_der_private_key(private, None)


@promise("M1")
async def test_mail_waits_rather_than_going_unsigned_where_its_key_does_not_open(open_world: Opened) -> None:
    async with dns_server() as server, open_world(dns=server.address) as world:
        world.people.add_list("lst_1", range(10))
        found = await verified(world, server)
        sealed, partition = await first_batch(world, await world.launched())
        parts, _ = watched(world, server)
        opened = await parts.signers.opener(world.parts.opener.open)(sealed, partition)
        assert opened.compiled.render(opened.recipients[0]).startswith(b"DKIM-Signature: ")
        documents = world.store.collection(DOMAIN_DOCUMENTS.name)
        [kept] = await documents.find("tenant_id", found.tenant_id)
        first, second = kept["keys"]
        moved = kept | {"keys": [first | {"sealed": second["sealed"]}, second]}
        await documents.replace(moved, version=kept["v"])
        parts, _ = watched(world, server)  # with nothing in memory
        for _ in range(2):
            with pytest.raises(Unavailable):
                await parts.signers.opener(world.parts.opener.open)(sealed, partition)


async def first_batch(world: World, campaign_id: str) -> tuple[sending.SealedBatch, int]:
    async with patience():
        while True:
            for partition in range(world.bus.partitions):
                for record in await world.records(partition):
                    if record.campaign_id == campaign_id:
                        return record, partition
            await asyncio.sleep(0.02)


async def test_domains_are_told_apart_by_customer_and_listed_in_pages(open_world: Opened) -> None:
    async with open_world() as world:
        for name in ("a.example", "B.example.", "bücher.example", "a.example"):
            await world.stub.RegisterSenderDomain(sending.SenderDomainRequest(domain=name))
        pages: list[str] = []
        token = ""
        while True:
            page = await world.stub.ListSenderDomains(sending.ListSenderDomainsRequest(page_size=2, page_token=token))
            pages += [domain.domain for domain in page.sender_domains]
            token = page.next_page_token
            if not token:
                break
        assert pages == ["a.example", "b.example", "xn--bcher-kva.example"]
        with pytest.raises(NotFound):
            await world.as_tenant("ten_00000000000000000000000002").GetSenderDomain(sending.SenderDomainRequest(domain="a.example"))
        for wrong in ("localhost", "192.0.2.1", "a b.example", "-"):
            with pytest.raises(Invalid, match=re.escape("domain")):
                await world.stub.RegisterSenderDomain(sending.SenderDomainRequest(domain=wrong))
