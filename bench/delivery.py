"""`bench send --opt-outs N`: delivery alone at its full speed, from batches that stand in the log already, while people say stop.

The planner, with the first gate, has its work done before the workers begin; then they open, claim, render, ask the second gate, hand over
and settle, and `opt_outs` people say stop through the public door. bench/sketch.py is measured like this too, on the same Kafka in the same
run: `p99_over_sketch` compares the answers, `ratio` is delivery over the raw client before and after.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
from typing import Any

from bench.campaigns import LOOK_EVERY_S, imported, launched, raw, taken
from bench.imports import processor_seconds
from bench.running import Figures, mesh, resident_mb, say
from bench.sinks import Sink
from bench.stop import opt_out_links, say_stop
from postlaw_mesh.demo.law import Answered, HandOver, judge
from postlaw_mesh.rest_client import RestClient, accounted, client
from tools.composed_mesh import ComposedMesh

WHOLE_CAMPAIGN = {"POSTLAW_SENDING_PLANNER_BACKLOG": "10000"}  # in the log at one time, where else it is 30 seconds of work


def measure(options: argparse.Namespace, recipients: int, opt_outs: int, outside: Sink) -> Figures:
    workers = options.workers or 2
    with mesh(options.backend, outside.place, workers=0, settings=WHOLE_CAMPAIGN) as ready:
        composed: ComposedMesh = ready["composed"]
        list_id = asyncio.run(imported(ready, recipients))
        raws = [raw(outside, quick=options.quick)]
        campaign, answers, used = asyncio.run(_delivered(ready, composed, list_id, recipients, opt_outs, workers))
        records = [HandOver(to, begin, end) for begin, end, to, _ in outside.records()]
        run = taken(outside)
        raws.append(raw(outside, quick=options.quick))
        sketched = sketch(ready["bus"], outside, recipients, opt_outs)
        sketched_rate = taken(outside).per_second
        peak = max(resident_mb(program.pid or 0, peak=True) for name, program in composed.programs.items() if "worker" in name)
    verdict, totals = judge(answers, records), campaign["totals"]
    return {
        "recipients": recipients,
        "workers": workers,
        "per_second": round(run.per_second),
        "raw_per_second": round(sum(raws) / 2),
        "ratio": round(run.per_second / (sum(raws) / 2), 4),
        "sketch_per_second": round(sketched_rate),
        "opt_outs": verdict.opt_outs,
        "stopped": verdict.stopped,
        "recorded": verdict.recorded,
        "never_mailed": verdict.never_mailed,
        "mailed_after_answer": verdict.mailed_after,
        "under_way_at_answer": verdict.under_way,
        "median_ms": round(verdict.median_ms, 1),
        "p99_ms": round(verdict.p99_ms, 1),
        "sketch_median_ms": sketched["median_ms"],
        "sketch_p99_ms": sketched["p99_ms"],
        "p99_over_sketch": round(verdict.p99_ms / sketched["p99_ms"], 2),
        "sent_equals_sink": int(totals["sent"]) == run.handed == run.people,
        "states_add_up": accounted(totals) == recipients,
        "unknown": int(totals["unknown"]),
        "failed": int(totals["failed"]),
        "peak_mb": peak,
        "core_us_a_message": {name: round(seconds / recipients * 1e6) for name, seconds in used.items()},
    }


async def _delivered(
    ready: dict[str, Any], composed: ComposedMesh, list_id: str, recipients: int, opt_outs: int, workers: int
) -> tuple[dict[str, Any], list[Answered], dict[str, float]]:
    """The finished campaign, what everybody was answered, and the processor seconds of each process meanwhile, workers' starts included."""
    async with client(ready["gateway"], ready["api_key"]) as api:
        links = await opt_out_links(api, list_id, recipients, opt_outs)
        campaign_id = await launched(api, list_id)
        await _planned(api, campaign_id, recipients)
        say("planned; the workers begin")
        before = {name: processor_seconds([program.pid]) for name, program in composed.programs.items() if program.pid}
        beginning = asyncio.create_task(asyncio.to_thread(composed.start_workers, range(workers)))
        campaign, answers = await say_stop(api, campaign_id, recipients, links)
        await beginning
        after = {name: processor_seconds([program.pid]) for name, program in composed.programs.items() if program.pid}
        return campaign, answers, {name: seconds - before.get(name, 0.0) for name, seconds in after.items()}


async def _planned(api: RestClient, campaign_id: str, recipients: int) -> None:
    while int((await api.campaign(campaign_id))["totals"]["audience"]) < recipients:
        await asyncio.sleep(LOOK_EVERY_S)


def sketch(bus: str, outside: Sink, recipients: int, opt_outs: int) -> dict[str, float]:
    """Its own figures: `median_ms`, `p99_ms`."""
    bootstrap = bus.removeprefix("kafka://").partition("?")[0]
    words = [sys.executable, "-m", "bench.sketch", bootstrap, outside.host, str(outside.port), str(recipients), str(opt_outs)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the sketch failed: {done.stderr[-500:]}")
    return json.loads(done.stdout.splitlines()[-1])
