"""The stop under load: a campaign at full speed to an outside sink, people who say stop meanwhile, judged by the sink's records.

People say stop by HTTP POST from this process, which is not the mesh's. At least half of them never appear at the sink: they say
so before the mail has reached them. The raw client runs alone just before and after; `ratio` is per_second over its mean.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from bench.raw_client import raw_rate
from bench.running import Figures, mesh, parser, report, resident_mb, say
from bench.sinks import running_sink
from postlaw_mesh.demo.law import Answered, HandOver, judge
from postlaw_mesh.rest_client import ApiProblem, RestClient, accounted, client

TEMPLATE = {
    "subject": "Hello {{ name }}",
    "text": "Hello {{ name }} from {{ city }}.\n",
    "html": "<html><body><p>Hello {{ name }} from {{ city }}</p>"
    + "<p>Lorem ipsum dolor sit amet, consectetur adipiscing</p>\n" * 58
    + "</body></html>",
}
SAY_STOP_UNTIL = 0.6  # of the campaign: so most of them are not mailed yet when they say it
AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Sink:
    """`host`, `port` take SMTP; `stats` is the address of its records."""

    host: str
    port: int
    stats: str


async def people_csv(count: int) -> AsyncIterator[bytes]:
    yield b"email,name,city\n"
    for start in range(0, count, 1000):
        yield b"".join(b"user%d@example.com,User %d,Paris\n" % (i, i) for i in range(start, min(count, start + 1000)))


async def campaign_with_opt_outs(ready: dict[str, Any], recipients: int, opt_outs: int) -> tuple[dict[str, Any], list[Answered]]:
    """Imports, launches, says stop; returns the finished campaign and what everybody was answered."""
    async with client(ready["gateway"], ready["api_key"]) as api:
        list_id = await api.create_list("bench")
        began = time.perf_counter()
        file = b"".join([chunk async for chunk in people_csv(recipients)])
        import_id = await api.start_import(list_id, file, source="bench", attested_by="bench", wording="yes")
        state: dict[str, Any] = {}
        async for state in api.watch_import(import_id):
            pass
        if state.get("added") != recipients:
            raise ApiProblem(f"the import ended as {state}")
        say(f"imported {recipients} in {time.perf_counter() - began:.1f} s")
        chosen = [f"user{i}@example.com" for i in random.Random(7).sample(range(recipients), opt_outs)]
        links: dict[str, str] = {}
        for start in range(0, opt_outs, AT_ONCE):
            some = chosen[start : start + AT_ONCE]
            links.update(zip(some, await asyncio.gather(*(api.opt_out_link(list_id, address) for address in some)), strict=True))
        campaign_id = await api.create_campaign(list_id, "bench", TEMPLATE)
        await api.launch(campaign_id)
        return await _say_stop(api, campaign_id, recipients, links)


async def _say_stop(api: RestClient, campaign_id: str, recipients: int, links: dict[str, str]) -> tuple[dict[str, Any], list[Answered]]:
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
        until = time.monotonic() + 0.25
        # Spread over the quarter of a second until the next look, as people come, not all at once.
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


def records_of(stats: str) -> list[HandOver]:
    lines = httpx.get(f"{stats}/records", timeout=120).text.splitlines()
    return [HandOver(to, int(begin), int(end)) for begin, end, to, _ in (line.split("\t") for line in lines)]


def measure(backend: str, recipients: int, opt_outs: int, sink: Sink, answers_file: str) -> Figures:
    raw_before = raw_rate(sink.host, sink.port)
    httpx.post(f"{sink.stats}/reset")
    with mesh(backend, "--relay", f"{sink.host}:{sink.port}") as ready:
        campaign, answers = asyncio.run(campaign_with_opt_outs(ready, recipients, opt_outs))
        peak = resident_mb(ready["pid"], peak=True)
    records = records_of(sink.stats)
    httpx.post(f"{sink.stats}/reset")
    raw_after = raw_rate(sink.host, sink.port)
    httpx.post(f"{sink.stats}/reset")
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
    options_of.add_argument("--answers", default="", metavar="FILE", help="write address, answer, and when (epoch nanoseconds), a line each")
    options = options_of.parse_args(arguments)
    if bool(options.sink) != bool(options.stats):
        options_of.error("--sink and --stats go together")
    recipients, opt_outs = (5000, 50) if options.quick else (options.recipients, options.opt_outs)
    with ExitStack() as stack:
        if options.sink:
            host, _, port = options.sink.rpartition(":")
            sink = Sink(host, int(port), options.stats.rstrip("/"))
        else:
            found = stack.enter_context(running_sink())
            sink = Sink(found.host, found.port, found.stats)
        return report(options, lambda: measure(options.backend, recipients, opt_outs, sink, options.answers))
