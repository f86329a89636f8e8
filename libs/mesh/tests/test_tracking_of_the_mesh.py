"""Tracking through the whole mesh: from a yes on the preference page to the link in the mail, the click, and a no."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw.subscribers.v1 import subscribers_pb2 as subscribers
from postlaw.subscribers.v1.subscribers_pb2_grpc import SubscribersServiceStub
from postlaw_common.testing.patience import patience
from postlaw_common.testing.promises import promise

from .signing_up import Acme, acme, link_in

ANN, JANE = "ann@example.com", "jane@example.com"
TARGET = "https://shop.example/sale?from=news"
PAGE = f'<body><p>News. <a href="{TARGET}">The sale</a></body>'
FIREFOX = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
_YES = re.compile(r'name="notice" value="([^"]+)">\s*<button name="tracking" value="on"')
_OURS = re.compile(r"/(?:l/\d+|o)/[A-Za-z0-9_=.-]+")


async def joined(customer: Acme, address: str) -> str:
    """The path of the preference page of somebody who has just confirmed."""
    await customer.sign_up(address)
    mail = await customer.mail_to(address)
    await customer.http.post(link_in(mail, "/c/"), data={"confirm": "yes"})
    return f"{link_in(mail, '/u/')}/preferences"


async def ours_in_mail(customer: Acme, address: str) -> tuple[str, list[str]]:
    """The HTML of the person's campaign mail, and the paths in it that would tell us something."""
    body = (await customer.mail_to(address, 2)).get_body(("html",))
    assert body is not None
    page: str = body.get_content()
    return page, _OURS.findall(page)


async def hits(customer: Acme, number: int) -> list[sending.Hit]:
    """All that are on the bus, in their order there, once there are so many."""
    bus = customer.mesh.running.backing.bus
    async with patience():
        while True:
            found: list[sending.Hit] = []
            for partition in range(bus.partitions):
                for record in await bus.read_range("postlaw.sending.tracking.v1", partition, 0, 100):
                    found += sending.HitsRecorded.FromString(record.value).hits
            if len(found) >= number:
                return found
            await asyncio.sleep(0.1)


@promise("M9")
async def test_links_tell_of_those_alone_who_said_yes_to_tracking_and_until_they_say_no(tmp_path: Path) -> None:
    async with acme(tmp_path) as customer:
        preferences = await joined(customer, JANE)
        await joined(customer, ANN)
        notice = _YES.search((await customer.http.get(preferences)).text)
        assert notice is not None
        await customer.http.post(preferences, data={"tracking": "on", "notice": notice[1]})
        assert (await customer.kinds(JANE))[-1] == "tracking_given"

        campaign = await customer.campaign(PAGE, sending.Tracking(opens=True, clicks=True))
        assert campaign.totals.sent == 2
        page, told = await ours_in_mail(customer, ANN)
        assert TARGET in page and not told
        page, [link, pixel] = await ours_in_mail(customer, JANE)
        assert TARGET not in page and (link[:3], pixel[:3]) == ("/l/", "/o/")

        customer.clock.forward(10)  # nobody reads within two seconds
        followed = await customer.http.get(link, headers=FIREFOX)
        assert (followed.status_code, followed.headers["location"]) == (302, TARGET)
        person = await customer.stub(SubscribersServiceStub, "subscribers").ResolvePerson(subscribers.ResolvePersonRequest(address=JANE))
        [click] = await hits(customer, 1)
        assert (click.kind, click.address_key, click.machine) == (sending.Hit.KIND_CLICK, person.address_key, "")

        await customer.http.post(preferences, data={"tracking": "off"})
        assert (await customer.kinds(JANE))[-1] == "tracking_withdrawn"
        customer.clock.forward(10)
        for path in (link, pixel):
            assert (await customer.http.get(path, headers=FIREFOX)).status_code in (200, 302)
        for hit in (await hits(customer, 3))[1:]:
            assert not hit.address_key and (hit.at.seconds % 3600, hit.at.nanos) == (0, 0)
