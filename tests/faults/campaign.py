"""A campaign under a fault: people are imported, mailed, and say stop all the while; then the sink's records are held against it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx

from bench.sinks import Sink
from postlaw_mesh.demo.law import Answered, HandOver, Verdict, judge
from postlaw_mesh.demo.people import ATTESTED
from postlaw_mesh.rest_client import ApiProblem, RestClient, accounted

TEMPLATE = {"subject": "Hello {{ name }}", "text": "Hello {{ name }}.\n" * 20, "html": "<p>Hello {{ name }}</p>\n" * 40}
FINISHES_S = 400.0  # only so that a campaign which never finishes fails the test
STOPPED_S = 60.0  # likewise for who is to be told *stopped* in the end: on a slow machine, those who waited six seconds are told *recorded*
GETS_ON_S = 180.0  # likewise
AT_ONCE = 8


@dataclass
class Held:
    """What is left when a campaign is over. `answers`: one a person who said stop while it ran."""

    list_id: str
    audience: int
    campaign: dict[str, Any]
    answers: list[Answered]
    records: list[HandOver]

    @property
    def verdict(self) -> Verdict:
        return judge(self.answers, self.records)

    @property
    def totals(self) -> dict[str, int]:
        return {name: int(value) for name, value in self.campaign["totals"].items() if isinstance(value, int | str)}

    def obeys_the_law(self) -> None:
        verdict, totals = self.verdict, self.totals
        assert verdict.mailed_after == 0, "mailed after the answer 'stopped'"
        assert verdict.under_way == 0, "under way at the answer 'stopped'"
        assert verdict.mailed_twice == 0
        assert verdict.after_recorded <= verdict.recorded
        assert self.campaign["status"] == "finished"
        assert accounted(totals) == totals["audience"] == self.audience
        # Who counts as sent has the mail; who has the mail counts as sent, or as one of whom we cannot know.
        assert totals["sent"] <= len(self.records) <= totals["sent"] + totals["unknown"]
        assert self.answers, "nobody said stop: nothing is proved"


@dataclass
class Campaigns:
    """Runs campaigns through the door."""

    api: RestClient
    prefix: str
    chosen: random.Random = field(default_factory=lambda: random.Random(11))

    async def list_of(self, people: int) -> str:
        list_id = await self.api.create_list(self.prefix)
        rows = "email,name\n" + "".join(f"{self.address(i)},User {i}\n" for i in range(people))
        import_id = await self.api.start_import(list_id, rows.encode(), ATTESTED)
        async for state in self.api.watch_import(import_id):
            if state["state"] == "failed":
                raise ApiProblem(f"the import ended as {state}")
        return list_id

    def address(self, i: int) -> str:
        return f"{self.prefix}.{i}@example.com"

    async def links(self, list_id: str, people: int, count: int) -> dict[str, str]:
        """The links of `count` people who will say stop."""
        addresses = [self.address(i) for i in self.chosen.sample(range(people), count)]
        found: dict[str, str] = {}
        for start in range(0, count, AT_ONCE):
            some = addresses[start : start + AT_ONCE]
            found |= dict(zip(some, await asyncio.gather(*(self.api.opt_out_link(list_id, a) for a in some)), strict=True))
        return found

    async def launch(self, list_id: str) -> str:
        campaign_id = await self.api.create_campaign(list_id, self.prefix, TEMPLATE)
        await self.api.launch(campaign_id)
        return campaign_id

    async def finished(self, campaign_id: str) -> dict[str, Any]:
        campaign: dict[str, Any] = {}
        with suppress(TimeoutError):
            async with asyncio.timeout(FINISHES_S):
                while campaign.get("status") != "finished":
                    await asyncio.sleep(0.25)
                    with suppress(ApiProblem, httpx.HTTPError):  # while the fault lasts
                        campaign = await self.api.campaign(campaign_id)
        assert campaign.get("status") == "finished", f"the campaign does not finish: {campaign}"
        return campaign

    async def under(self, outside: Sink, fault: Callable[[], Awaitable[None]], *, people: int, stops: int, every_s: float) -> Held:
        """A campaign to `people`, `stops` of whom say stop, one each `every_s`, from its launch on; `fault` begins with it."""
        list_id = await self.list_of(people)
        links = await self.links(list_id, people, stops)
        outside.reset()
        campaign_id = await self.launch(list_id)
        answers: list[Answered] = []
        saying = asyncio.create_task(self._say_stop(links, every_s, answers))
        try:
            await fault()
            await self.finished(campaign_id)
        finally:
            saying.cancel()
            with suppress(asyncio.CancelledError):
                await saying
        return await self.held(list_id, people, campaign_id, answers, outside)

    async def held(self, list_id: str, people: int, campaign_id: str, answers: list[Answered], outside: Sink) -> Held:
        campaign = await self.finished(campaign_id)
        return Held(list_id, people, campaign, answers, hand_overs(outside))

    async def _say_stop(self, links: dict[str, str], every_s: float, answers: list[Answered]) -> None:
        """Ends by being cancelled; then those who have not begun yet keep their subscription."""

        async def one(address: str, link: str) -> None:
            answers.append(await self.insist(address, link))

        begun: list[asyncio.Task[None]] = []
        try:
            for address, link in links.items():
                begun.append(asyncio.create_task(one(address, link)))
                await asyncio.sleep(every_s)
        finally:
            await asyncio.gather(*begun)

    async def insist(self, address: str, link: str, patience_s: float = 0.0) -> Answered:
        """Says stop until it is answered: an error promises nothing, and people try again. `patience_s`: see RestClient.insist."""
        while True:
            try:
                return await self.api.insist(link, address, patience_s)
            except (ApiProblem, httpx.HTTPError):
                await asyncio.sleep(0.3)

    async def next_one_leaves_out(self, held: Held, outside: Sink) -> None:
        """Everybody gets the next campaign but those who said stop."""
        outside.reset()
        campaign = await self.finished(await self.launch(held.list_id))
        stopped = {answer.address for answer in held.answers}
        mailed = {record.address for record in hand_overs(outside)}
        assert not mailed & stopped
        assert len(mailed) == held.audience - len(stopped)
        assert int(campaign["totals"]["sent"]) == len(mailed)


async def mailed(outside: Sink, at_least: int) -> None:
    """Returns once the sink has taken so many."""
    deadline = time.monotonic() + GETS_ON_S
    while (await asyncio.to_thread(outside.counts))["messages"] < at_least:
        assert time.monotonic() < deadline, "the campaign does not get on"
        await asyncio.sleep(0.05)


def hand_overs(outside: Sink) -> list[HandOver]:
    return [HandOver(to, begin, end) for begin, end, to, _ in outside.records()]
