"""What the figures of sending share: a list, a campaign to its end through the public door, and what the sink says of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from bench.imports import imported_list
from bench.raw_client import raw_rate
from bench.sinks import Sink
from postlaw_mesh.rest_client import RestClient, client

LOOK_EVERY_S = 0.3
TEMPLATE = {
    "subject": "Hello {{ name }}",
    "text": "Hello {{ name }} from {{ city }}.\n",
    "html": "<html><body><p>Hello {{ name }} from {{ city }}</p>"
    + "<p>Lorem ipsum dolor sit amet, consectetur adipiscing</p>\n" * 58
    + "</body></html>",
}


@dataclass(frozen=True, slots=True)
class Taken:
    """What the sink has of one campaign: hand-offs, different people, and hand-offs a second from its first MAIL to its last reply."""

    handed: int
    people: int
    per_second: float

    @property
    def twice(self) -> int:
        return self.handed - self.people


def taken(outside: Sink) -> Taken:
    """And the sink is empty again."""
    records = outside.records()
    outside.reset()
    seconds = (max(end for _, end, _, _ in records) - min(begin for begin, _, _, _ in records)) / 1e9
    return Taken(len(records), len({who for _, _, who, _ in records}), len(records) / seconds)


def raw(outside: Sink, *, quick: bool = False) -> float:
    """The raw client's messages a second, and the sink is empty again."""
    rate = raw_rate(outside.host, outside.port, 50) if quick else raw_rate(outside.host, outside.port)
    outside.reset()
    return rate


async def imported(ready: dict[str, Any], recipients: int) -> str:
    async with client(ready["gateway"], ready["api_key"]) as api:
        return (await imported_list(api, recipients))[0]


async def launched(api: RestClient, list_id: str) -> str:
    campaign_id = await api.create_campaign(list_id, "bench", TEMPLATE)
    await api.launch(campaign_id)
    return campaign_id


async def campaign(ready: dict[str, Any], list_id: str) -> dict[str, Any]:
    """One campaign, launched and finished: its totals."""
    async with client(ready["gateway"], ready["api_key"]) as api:
        return await to_the_end(api, await launched(api, list_id))


async def to_the_end(api: RestClient, campaign_id: str) -> dict[str, Any]:
    """Its totals once it has finished."""
    while (found := await api.campaign(campaign_id))["status"] == "sending":
        await asyncio.sleep(LOOK_EVERY_S)
    return found["totals"]
