"""How fast campaigns leave, with sealing, claims, ledger and both gates on, against the raw client on the same machine.

One list, imported once; then raw client and campaign by turns, so that both meet the machine in the same moods. `ratio` is the median of
each campaign over the mean of the raw runs before and after it. DKIM is off, as it is in the peer's figure. The sink's own
records say who was mailed: `sent_equals_sink` compares them with the product's totals, `twice` counts who got one campaign twice.
"""

from __future__ import annotations

import asyncio
import statistics
from itertools import pairwise
from typing import Any

from bench.imports import imported_list
from bench.raw_client import raw_rate
from bench.running import Figures, mesh, parser, report, resident_mb, say
from bench.sinks import Sink, sink
from bench.stop import TEMPLATE
from postlaw_mesh.rest_client import RestClient, client

LOOK_EVERY_S = 0.3


async def _imported(ready: dict[str, Any], recipients: int) -> str:
    async with client(ready["gateway"], ready["api_key"]) as api:
        return (await imported_list(api, recipients))[0]


async def _campaign(ready: dict[str, Any], list_id: str) -> dict[str, Any]:
    async with client(ready["gateway"], ready["api_key"]) as api:
        campaign_id = await api.create_campaign(list_id, "bench", TEMPLATE)
        await api.launch(campaign_id)
        return await _to_the_end(api, campaign_id)


async def _to_the_end(api: RestClient, campaign_id: str) -> dict[str, Any]:
    while (campaign := await api.campaign(campaign_id))["status"] == "sending":
        await asyncio.sleep(LOOK_EVERY_S)
    return campaign


def _raw(outside: Sink) -> float:
    rate = raw_rate(outside.host, outside.port)
    outside.reset()
    return rate


def measure(backend: str, recipients: int, campaigns: int, outside: Sink) -> Figures:
    with mesh(backend, "--relay", f"{outside.host}:{outside.port}") as ready:
        list_id = asyncio.run(_imported(ready, recipients))
        raws, rates, totals = [_raw(outside)], list[float](), list[dict[str, Any]]()
        twice = at_the_sink = 0
        for _ in range(campaigns):
            totals.append(asyncio.run(_campaign(ready, list_id))["totals"])
            records = outside.records()
            outside.reset()
            seconds = (max(end for _, end, _, _ in records) - min(begin for begin, _, _, _ in records)) / 1e9
            rates.append(len(records) / seconds)
            at_the_sink += len(records)
            twice += len(records) - len({who for _, _, who, _ in records})
            raws.append(_raw(outside))
            say(f"{rates[-1]:.0f} a second, raw {raws[-1]:.0f}")
        peak = resident_mb(ready["pid"], peak=True)
    ratios = [rate / ((before + after) / 2) for rate, (before, after) in zip(rates, pairwise(raws), strict=True)]
    sent = sum(int(one["sent"]) for one in totals)
    return {
        "campaigns": campaigns,
        "recipients": recipients,
        "per_second": round(statistics.median(rates)),
        "raw_per_second": round(statistics.median(raws)),
        "ratio": round(statistics.median(ratios), 4),
        "ratio_lowest": round(min(ratios), 4),
        "ratio_highest": round(max(ratios), 4),
        "sent": sent,
        "sent_equals_sink": sent == at_the_sink == campaigns * recipients,
        "twice": twice,
        "unknown": sum(int(one["unknown"]) for one in totals),
        "failed": sum(int(one["failed"]) for one in totals),
        "peak_mb": peak,
    }


def main(arguments: list[str]) -> int:
    options_of = parser("send", __doc__ or "")
    options_of.add_argument("--recipients", type=int, default=50_000)
    options_of.add_argument("--campaigns", type=int, default=5, help="by turns with the raw client; the median counts")
    options = options_of.parse_args(arguments)
    recipients, campaigns = (2000, 2) if options.quick else (options.recipients, options.campaigns)
    with sink() as outside:
        return report(options, lambda: measure(options.backend, recipients, campaigns, outside))
