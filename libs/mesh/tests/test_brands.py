"""The whole mesh: a brand from the making of a list to both gates, and to the page on which a person stops it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from postlaw.consent.v1 import consent_pb2 as consent
from postlaw.subscribers.v1 import subscribers_pb2 as subscribers
from postlaw.subscribers.v1.subscribers_pb2_grpc import SubscribersServiceStub
from postlaw_common.testing.patience import patience
from postlaw_common.testing.promises import promise

from .signing_up import WORDING, acme, link_in
from .test_suppression_lists import HELD, imported

ANN = "ann@example.com"


@promise("M6", "G9")
async def test_who_stops_a_brand_by_a_links_page_gets_no_mail_of_any_of_its_lists_and_that_of_the_others(tmp_path: Path) -> None:
    async with acme(tmp_path) as customer:
        stub = customer.stub(SubscribersServiceStub, "subscribers")
        attested = subscribers.ImportConsent(source="shop", wording=WORDING, attested_by="Ada Example", held=HELD, territories=["IE"])
        lists: list[str] = []
        for name, brand in (("News", "North"), ("Offers", "North"), ("South", "South & Co")):
            made = await stub.CreateList(subscribers.CreateListRequest(name=name, brand=brand))
            await imported(customer, f"email\n{ANN}\n".encode(), list_id=made.list_id, consent=attested)
            lists.append(made.list_id)

        async def refused(list_id: str) -> list[str]:
            customer.list_id = list_id
            campaign = await customer.campaign()
            return list(campaign.totals.refused_by_reason)

        assert await refused(lists[0]) == []
        page = f"{link_in(await customer.mail_to(ANN), '/u/')}/preferences"
        async with patience():
            while 'value="brand:North"' not in (await customer.http.get(page)).text:
                await asyncio.sleep(0.05)  # the list's brand is on its way
        answer = await customer.http.post(page, data={"stop": "brand:North"})
        assert "Done. The mail has stopped." in answer.text
        assert await refused(lists[1]) == await refused(lists[0]) == ["SUPPRESSED_BRAND"]
        assert await refused(lists[2]) == []
        assert len(customer.mails_to(ANN)) == 2
        [stopped] = [event for event in await customer.events(ANN) if event.kind == consent.ConsentEvent.KIND_WITHDRAWN]
        assert stopped.scope == consent.Scope(brand="North")
