"""The stop under load: a campaign at full speed to an outside sink, people who say stop meanwhile, judged by the sink's records.

People say stop by HTTP POST from this process, which is not the mesh's. At least half of them never appear at the sink: they say
so before the mail has reached them. The raw client runs alone just before and after; `ratio` is per_second over its mean.
"""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.campaigns import launched
from bench.imports import imported_list
from bench.raw_client import raw_rate
from bench.running import Figures, deployed, mesh, parser, report, resident_mb
from bench.sinks import Sink, sink
from postlaw_mesh.demo.law import Answered, HandOver, judge
from postlaw_mesh.rest_client import RestClient, accounted, client

SAY_STOP_UNTIL = 0.6  # of the campaign: so most of them are not mailed yet when they say it
AT_ONCE = 16


async def campaign_with_opt_outs(ready: dict[str, Any], recipients: int, opt_outs: int) -> tuple[dict[str, Any], list[Answered]]:
    """Imports, launches, says stop; returns the finished campaign and what everybody was answered."""
    async with client(ready["gateway"], ready["api_key"]) as api:
        list_id, _ = await imported_list(api, recipients)
        links = await opt_out_links(api, list_id, recipients, opt_outs)
        return await say_stop(api, await launched(api, list_id), recipients, links)


async def opt_out_links(api: RestClient, list_id: str, recipients: int, opt_outs: int) -> dict[str, str]:
    """By address, of people chosen at random."""
    chosen = [f"user{i}@example.com" for i in random.Random(7).sample(range(recipients), opt_outs)]
    links: dict[str, str] = {}
    for start in range(0, opt_outs, AT_ONCE):
        some = chosen[start : start + AT_ONCE]
        links.update(zip(some, await asyncio.gather(*(api.opt_out_link(list_id, address) for address in some)), strict=True))
    return links


async def say_stop(api: RestClient, campaign_id: str, recipients: int, links: dict[str, str]) -> tuple[dict[str, Any], list[Answered]]:
    """Each who has a link says stop while the campaign goes out: the campaign when it has finished, and what each was answered."""
    waiting = list(links)
    total = len(waiting)
    answers: list[Answered] = []
    under_way: set[asyncio.Task[None]] = set()
    campaign = await api.campaign(campaign_id)

    async def one(address: str) -> None:
        answers.append(await api.say_stop(links[address], address))

    while campaign["status"] == "sending":
        share = accounted(campaign["totals"]) / recipients
        due = int(total * min(1.0, share / SAY_STOP_UNTIL + 0.02))
        until = time.monotonic() + 0.5
        # Spread over the half second until the next look, as people come, not all at once.
        while total - len(waiting) < due and waiting:
            task = asyncio.create_task(one(waiting.pop()))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            left = due - (total - len(waiting))
            await asyncio.sleep(max(0.001, (until - time.monotonic()) / (left + 1)))
        await asyncio.sleep(max(0.0, until - time.monotonic()))
        campaign = await api.campaign(campaign_id)
    for address in waiting:
        await one(address)
    await asyncio.gather(*under_way)
    return campaign, answers


def measure(
    backend: str, recipients: int, opt_outs: int, outside: Sink, answers_file: str, *, workers: int | None = None, together: bool = False
) -> Figures:
    raw_before = raw_rate(outside.host, outside.port)
    outside.reset()
    with mesh(backend, outside.place, workers=workers, together=together) as ready:
        campaign, answers = asyncio.run(campaign_with_opt_outs(ready, recipients, opt_outs))
        peak = resident_mb(ready["pid"], peak=True)
    records = [HandOver(to, begin, end) for begin, end, to, _ in outside.records()]
    outside.reset()
    raw_after = raw_rate(outside.host, outside.port)
    outside.reset()
    if answers_file:
        lines = "".join(f"{a.address}\t{a.outcome}\t{a.at_ns}\n" for a in answers)
        Path(answers_file).write_text(lines, encoding="utf-8")
    verdict = judge(answers, records)
    totals = campaign["totals"]
    seconds = (max(r.end_ns for r in records) - min(r.begin_ns for r in records)) / 1e9
    raw = (raw_before + raw_after) / 2
    return {
        "sent": int(totals["sent"]),
        "at_the_sink": len(records),
        "per_second": round(len(records) / seconds),
        "raw_per_second": round(raw),
        "ratio": round(len(records) / seconds / raw, 4),
        "opt_outs": verdict.opt_outs,
        "never_mailed": verdict.never_mailed,
        "stopped": verdict.stopped,
        "recorded": verdict.recorded,
        "median_ms": round(verdict.median_ms, 1),
        "p99_ms": round(verdict.p99_ms, 1),
        "mailed_after_answer": verdict.mailed_after,
        "under_way_at_answer": verdict.under_way,
        "mailed_twice": verdict.mailed_twice,
        "states_add_up": accounted(totals) == int(totals["audience"]) == recipients,
        "unknown": int(totals["unknown"]),
        "peak_mb": peak,
    }


def main(arguments: list[str]) -> int:
    options_of = parser("stop", __doc__ or "")
    options_of.add_argument("--recipients", type=int, default=200_000)
    options_of.add_argument("--opt-outs", type=int, default=1000)
    options_of.add_argument("--sink", metavar="HOST:PORT", help="an SMTP sink that already runs, on loopback")
    options_of.add_argument("--stats", metavar="URL", help="where that sink lists its records")
    options_of.add_argument("--answers", default="", metavar="FILE", help="write address, answer, when (epoch nanoseconds), a line each")
    deployed(options_of)
    options = options_of.parse_args(arguments)
    if bool(options.sink) != bool(options.stats):
        options_of.error("--sink and --stats go together")
    recipients, opt_outs = (5000, 50) if options.quick else (options.recipients, options.opt_outs)
    with ExitStack() as stack:
        if options.sink:
            host, _, port = options.sink.rpartition(":")
            outside = Sink("given", host, int(port), options.stats.rstrip("/"), 0)
        else:
            outside = stack.enter_context(sink())
        how = {"workers": options.workers, "together": options.together}
        return report(options, lambda: measure(options.backend, recipients, opt_outs, outside, options.answers, **how))
