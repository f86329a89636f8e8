"""Pixel and links of a campaign, from the draft to the event on the bus: of each person as far as their law and they themselves allow."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

import pytest

from postlaw.consent.v1 import consent_pb2 as consent
from postlaw.sending.v1 import sending_pb2 as sending
from postlaw.sending.v1.sending_pb2_grpc import SendingServiceStub
from postlaw_common.errors import NotFound
from postlaw_common.testing.patience import patience
from postlaw_common.testing.promises import promise
from postlaw_sending.testing.dns_server import dns_server
from services.sending.tests.campaigns.conftest import World
from services.sending.tests.campaigns.played import CONSENTED, FakeConsent, FakeSubscribers, address_key
from services.sending.tests.campaigns.test_sender_domains import SHOP, verified
from services.sending.tests.messages.compiled import parsed, part

PAGE = '<body><a href="https://shop.example/a?b=1&amp;c=2">A</a> <a href="https://shop.example/z">Z</a></body>'
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
ALL, OPENS, NOTHING = 1, 2, 3  # people, by what they allow
_OURS = re.compile(r"/(l/\d+|o)/([A-Za-z0-9_-]{56,})")


class Clock:
    def __init__(self) -> None:
        self.ahead_s = 0

    def __call__(self) -> int:
        return time.time_ns() // 1000 + self.ahead_s * 1_000_000


def verdict(**allowed: bool) -> consent.Verdict:
    made = consent.Verdict(open_tracking=allowed.get("opens", False), click_tracking=allowed.get("clicks", False))
    made.MergeFrom(CONSENTED)
    return made


def audience() -> tuple[FakeSubscribers, FakeConsent]:
    people, law = FakeSubscribers(), FakeConsent()
    people.add_list("lst_1", (ALL, OPENS, NOTHING))
    law.verdicts = {address_key(ALL): verdict(opens=True, clicks=True), address_key(OPENS): verdict(opens=True)}
    return people, law


async def mailed(world: World, **asked: bool) -> dict[int, str]:
    """Each person's HTML part, as the worker makes it."""
    campaign = await world.draft(template=sending.Template(subject="Hello", text="Hello", html=PAGE), tracking=sending.Tracking(**asked))
    await world.stub.LaunchCampaign(sending.GetCampaignRequest(campaign_id=campaign.campaign_id))
    await world.until(campaign.campaign_id, sending.Campaign.STATUS_FINISHED)
    pages: dict[int, str] = {}
    for partition in range(4):
        for sealed in await world.records(partition):
            if sealed.campaign_id == campaign.campaign_id:
                opened = await world.parts.opener.open(sealed, partition)
                for person in opened.recipients:
                    pages[world.people.names[person.address_key]] = part(parsed(opened.compiled.render(person)), "html")
    return pages


def ours(page: str) -> list[tuple[str, str]]:
    """(which link or pixel, its token), in order."""
    return _OURS.findall(page)


async def follow(world: World, found: tuple[str, str], *, head: bool = False) -> str:
    path, token = found
    kind, _, number = path.partition("/")
    request = sending.RecordHitRequest(token=token, user_agent=FIREFOX, head=head, link=int(number or 0))
    request.kind = sending.Hit.KIND_CLICK if kind == "l" else sending.Hit.KIND_OPEN
    return (await SendingServiceStub(world.mesh.channel("sending")).RecordHit(request)).target


async def hits(world: World, number: int) -> list[sending.Hit]:
    """All that are on the bus, once there are so many."""
    async with patience():
        while True:
            found: list[sending.Hit] = []
            for partition in range(4):
                for record in await world.bus.read_range("postlaw.sending.tracking.v1", partition, 0, 100):
                    found += sending.HitsRecorded.FromString(record.value).hits
            if len(found) >= number:
                return sorted(found, key=lambda hit: (hit.kind, hit.link, hit.address_key))
            await asyncio.sleep(0.05)


@promise("M9")
async def test_pixel_and_links_go_to_those_alone_who_allow_them(open_world: Any) -> None:
    async with open_world(*audience()) as world:
        pages = await mailed(world, opens=True, clicks=True)
        assert [kind for kind, _ in ours(pages[ALL])] == ["l/0", "l/1", "o"]
        assert [kind for kind, _ in ours(pages[OPENS])] == ["o"]
        assert ours(pages[NOTHING]) == []
        assert "https://shop.example/a?b=1&amp;c=2" in pages[OPENS] and "https://shop.example/z" in pages[NOTHING]
        assert "shop.example/" not in pages[ALL]
        plain = await mailed(world)
        assert not any(ours(page) for page in plain.values())


@promise("M9")
async def test_a_hit_is_a_persons_only_while_they_allow_it(open_world: Any) -> None:
    clock = Clock()
    async with open_world(*audience(), now_us=clock) as world:
        pages = await mailed(world, opens=True, clicks=True)
        first, second, pixel = ours(pages[ALL])
        clock.ahead_s = 60
        assert await follow(world, first) == "https://shop.example/a?b=1&c=2"
        assert await follow(world, pixel) == ""
        named = await hits(world, 2)
        assert [(hit.kind, hit.address_key, hit.machine) for hit in named] == [(1, address_key(ALL), ""), (2, address_key(ALL), "")]
        world.law.verdicts[address_key(ALL)] = verdict()
        assert await follow(world, second, head=True) == "https://shop.example/z"
        [nobodys] = [hit for hit in await hits(world, 3) if not hit.address_key]
        assert (nobodys.link, nobodys.machine, nobodys.at.seconds % 3600, nobodys.at.nanos) == (1, "head-request", 0, 0)


@promise("M9")
async def test_who_allows_nothing_is_counted_without_who_they_are_where_that_is_asked(open_world: Any) -> None:
    async with open_world(*audience()) as world:
        pages = await mailed(world, counts=True)
        assert ours(pages[ALL]) == ours(pages[NOTHING]) and len(ours(pages[ALL])) == 2
        first, _ = ours(pages[NOTHING])
        asked = len(world.law.asked)
        assert await follow(world, first) == "https://shop.example/a?b=1&c=2"
        [hit] = await hits(world, 1)
        assert (hit.kind, hit.link, hit.address_key) == (sending.Hit.KIND_CLICK, 0, b"")
        assert len(world.law.asked) == asked  # there is nobody to ask about


async def test_a_link_that_nobody_was_given_leads_nowhere(open_world: Any) -> None:
    async with open_world(*audience()) as world:
        pages = await mailed(world, clicks=True)
        first, _ = ours(pages[ALL])
        kind, token = first
        for wrong in (token[:-1] + ("A" if token[-1] != "A" else "B"), "https://evil.example", token[:56]):
            with pytest.raises(NotFound):
                await follow(world, (kind, wrong))
        with pytest.raises(NotFound):
            await follow(world, ("l/2", token))


@promise("M9")
async def test_links_stand_on_the_customers_own_host_once_it_leads_here(open_world: Any) -> None:
    async with dns_server() as server, open_world(*audience(), dns=server.address, links_cname="links.mail.example") as world:
        server.put("links.shop.example", "CNAME", "links.mail.example.")
        pages = await mailed(world, opens=True, clicks=True)
        assert "links.shop.example" not in pages[ALL], "nobody has checked it yet"
        await verified(world, server)
        pages = await mailed(world, opens=True, clicks=True)
        first, _, pixel = ours(pages[ALL])
        for path, token in (first, pixel):
            assert f"https://links.shop.example/{path}/{token}" in pages[ALL]
        assert await follow(world, first) == "https://shop.example/a?b=1&c=2"
        server.put("links.shop.example", "CNAME", "elsewhere.example.")
        checks = {check.id: check for check in (await world.stub.CheckSenderDomain(SHOP)).checks}
        assert checks["links"].result == sending.DomainCheck.RESULT_WARN
        assert "links.shop.example" not in (await mailed(world, opens=True, clicks=True))[ALL]
