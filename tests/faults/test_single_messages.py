"""Confirmation mails beside a campaign, while workers are killed, paused and come and go: the law holds, and each mail has one end."""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from dataclasses import dataclass, field

import httpx

from postlaw_common.store import CollectionSpec, open_store
from postlaw_common.testing.promises import promise
from postlaw_mesh.demo.law import Answered, judge
from postlaw_mesh.rest_client import ApiProblem, RestClient
from postlaw_sending.singles.singles import MESSAGES
from tests.faults.campaign import Campaigns, hand_overs, mailed
from tests.faults.harness import FaultMesh
from tests.faults.test_workers_paused_and_moved import BEYOND_LEASE_S

SIGN_UPS = 40
TOO_FAST_S = 2.2  # a form that is sent sooner is shown again
ENDS_S = 180.0  # only so that a message which never ends fails the test
_TOKEN = re.compile(r'name="token" value="([^"]+)"')


def who(i: int) -> str:
    return f"signs.up.{i}@example.com"


async def form_of(api: RestClient, list_id: str) -> str:
    """The path of a form with double opt-in."""
    sender = {"name": "Acme News", "address": "news@acme.example", "postal_address": "Acme Ltd, 1 High Street, London N1 1AA"}
    wording = {"language": "en", "wording": "Yes, send me the news.", "purposes": ["News"], "territories": ["IE"]}
    form = await api.call("POST", "/v1/forms", json={"list_id": list_id, "sender": sender, **wording})
    return httpx.URL(form["url"]).path


async def ended(mesh: FaultMesh) -> dict[str, str]:
    """Single messages and how each ended, by id, once nothing that anybody sent with a form is still to be done."""
    consents = open_store(mesh.environment(mesh.store_of_others)["POSTLAW_STORE"], "consent", state="")
    sent = open_store(mesh.environment(mesh.store_of_sending)["POSTLAW_STORE"], "sending", state="")
    await consents.start([CollectionSpec("sign_ups")])
    await sent.start([MESSAGES])
    try:
        async with asyncio.timeout(ENDS_S):
            while True:
                busy = await consents.collection("sign_ups").count()
                found = [document async for page in sent.collection(MESSAGES.name).scan() for document in page]
                if not busy and not any("open" in document for document in found):
                    return {document["_id"]: document["state"] for document in found}
                await asyncio.sleep(0.5)
    finally:
        await consents.close()
        await sent.close()


@dataclass
class Visitors:
    """People who sign up on the page of a list's form; some of them say stop at once."""

    campaigns: Campaigns
    gateway: str
    list_id: str
    form: str
    answers: list[Answered] = field(default_factory=list[Answered])

    async def come(self) -> None:
        stopping: list[asyncio.Task[None]] = []
        async with httpx.AsyncClient(base_url=self.gateway, timeout=60) as page:
            token = _TOKEN.search((await page.get(self.form)).text)
            assert token is not None
            await asyncio.sleep(TOO_FAST_S)
            for i in range(SIGN_UPS):
                sent = await page.post(self.form, data={"token": token[1], "address": who(i), "agreed": "yes"})
                assert sent.status_code == 200, sent.text
                if i % 3 == 0:
                    stopping.append(asyncio.create_task(self._stop(who(i))))
                await asyncio.sleep(0.25)
        await asyncio.gather(*stopping)

    async def _stop(self, address: str) -> None:
        """As soon as the list has them, while the mail may be on its way."""
        while True:
            try:
                link = await self.campaigns.api.opt_out_link(self.list_id, address)
                break
            except ApiProblem:
                await asyncio.sleep(0.02)
        self.answers.append(await self.campaigns.insist(address, link))


@promise("M6", "G12")
async def test_single_messages_obey_the_stop_and_go_once_while_workers_are_killed_paused_and_moved(
    mesh: FaultMesh, api: RestClient
) -> None:
    campaigns, chance = Campaigns(api, "beside"), random.Random(5)
    before = await ended(mesh)
    form_list = await api.create_list("by form")
    visitors = Visitors(campaigns, mesh.gateway, form_list, await form_of(api, form_list))
    list_id = await campaigns.list_of(1500)
    with mesh.sink("--delay", "0.03") as outside:
        workers = [mesh.worker(), mesh.worker()]
        await workers[0].holds()
        campaign_id = await campaigns.launch(list_id)
        await mailed(outside, 20)
        coming = asyncio.create_task(visitors.come())
        for turn in range(3):
            await asyncio.sleep(chance.uniform(0.5, 2.0))
            workers[turn % 2].kill()
            await asyncio.sleep(chance.uniform(0.0, 0.5))
            workers[turn % 2].start()
        workers[1].pause()
        await asyncio.sleep(BEYOND_LEASE_S)
        workers[1].resume()
        await mesh.worker().holds()
        workers[0].leave()
        await coming
        states = Counter(state for id, state in (await ended(mesh)).items() if id not in before)
        assert (await campaigns.finished(campaign_id))["status"] == "finished"
        records = hand_overs(outside)
    verdict = judge(visitors.answers, records)
    assert (verdict.mailed_after, verdict.under_way, verdict.mailed_twice) == (0, 0, 0)
    there = len({record.address for record in records} & {who(i) for i in range(SIGN_UPS)})
    assert states["sent"] <= there <= states["sent"] + states["unknown"], states
    assert states["sent"] >= SIGN_UPS // 3, states
    # Of those who said stop, whoever did so in time has no mail; nobody else goes without, but for what a lost worker left open.
    assert states.total() >= SIGN_UPS - len(visitors.answers), states
    assert states["refused"] <= len(visitors.answers), states
    assert not states.keys() - {"sent", "refused", "unknown"}, states
