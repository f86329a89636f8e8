"""How fast campaigns leave, with sealing, claims, ledger and both gates on, against the raw client on the same machine.

One list, imported once; then raw client and campaign by turns, so that both meet the machine in the same moods. `ratio` is the median of
each campaign over the mean of the raw runs before and after it. The sink's own records say who was mailed: `sent_equals_sink` compares
them with the product's totals, `twice` counts who got one campaign twice. `peak_mb`: the highest of any process that delivers.

DKIM is off, as it is in the peer's figure. With --dkim the sender's domain signs by RSA-2048: `signatures_per_second` is what all cores
sign when they do nothing else, measured by turns as the raw client is, `share_of_signing` the median of the campaigns over it.

--backend kafka is Kafka itself, every service a process of its own, and the embedded store, in memory, for a database server. Further
figures, each told in its module: --opt-outs (delivery.py), --scaling, --crash, --memory.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from itertools import pairwise
from typing import Any

from bench import crash, delivery, memory, scaling
from bench.campaigns import campaign, imported, raw, taken
from bench.running import Figures, deployed, mesh, parser, report, resident_mb, say
from bench.signing import name_server, signing_rate, verified_domain, verifies
from bench.sinks import Sink, sink
from postlaw_mesh.rest_client import client


def shares(rates: Sequence[float], beside: Sequence[float]) -> list[float]:
    """Each rate over the mean of what was measured just before and just after it."""
    return [rate / ((before + after) / 2) for rate, (before, after) in zip(rates, pairwise(beside), strict=True)]


def measure(options: argparse.Namespace, outside: Sink) -> Figures:
    recipients, campaigns = (2000, 2) if options.quick else (options.recipients, options.campaigns)
    cores = os.cpu_count() or 1
    with ExitStack() as stack:
        settings: dict[str, str] = {}
        names = stack.enter_context(name_server()) if options.dkim else None
        if names is not None:
            settings = {"POSTLAW_SENDING_DNS": names.address}
        ready = stack.enter_context(
            mesh(options.backend, outside.place, workers=options.workers, settings=settings, together=options.together)
        )
        if names is not None:
            asyncio.run(_verified(ready, names))
        list_id = asyncio.run(imported(ready, recipients))
        alone: Callable[[], float] = (lambda: signing_rate(cores)) if names is not None else (lambda: 0.0)
        raws, signing, runs, totals = [raw(outside, quick=options.quick)], [alone()], [], list[dict[str, Any]]()
        signed = True
        for _ in range(campaigns):
            totals.append(asyncio.run(campaign(ready, list_id)))
            if names is not None:
                signed = signed and verifies(outside.get("/sample").encode(), names)
            runs.append(taken(outside))
            raws.append(raw(outside, quick=options.quick))
            signing.append(alone())
            say(f"{runs[-1].per_second:.0f} a second, raw {raws[-1]:.0f}, signatures {signing[-1]:.0f}")
        peak = max(resident_mb(pid, peak=True) for name, pid in ready["pids"].items() if name.startswith(("mesh", "sending-worker")))
    rates = [run.per_second for run in runs]
    ratios = shares(rates, raws)
    sent = sum(int(one["sent"]) for one in totals)
    figures: Figures = {
        "campaigns": campaigns,
        "recipients": recipients,
        "per_second": round(statistics.median(rates)),
        "raw_per_second": round(statistics.median(raws)),
        "ratio": round(statistics.median(ratios), 4),
        "ratio_lowest": round(min(ratios), 4),
        "ratio_highest": round(max(ratios), 4),
        "sent": sent,
        "sent_equals_sink": sent == sum(run.handed for run in runs) == campaigns * recipients,
        "twice": sum(run.twice for run in runs),
        "unknown": sum(int(one["unknown"]) for one in totals),
        "failed": sum(int(one["failed"]) for one in totals),
        "peak_mb": peak,
    }
    if names is not None:
        figures |= {
            "signatures_per_second": round(statistics.median(signing)),
            "share_of_signing": round(statistics.median(shares(rates, signing)), 3),
            "signed": signed,
        }
    return figures


async def _verified(ready: dict[str, Any], names: Any) -> None:
    async with client(ready["gateway"], ready["api_key"]) as api:
        await verified_domain(api, names)


def main(arguments: list[str]) -> int:
    options_of = parser("send", __doc__ or "", ("embedded", "kafka", "real"))
    options_of.add_argument("--recipients", type=int, default=50_000)
    options_of.add_argument("--campaigns", type=int, default=5, help="by turns with the raw client; the median counts")
    deployed(options_of)
    options_of.add_argument("--dkim", action="store_true", help="sign each message by RSA-2048")
    options_of.add_argument("--scaling", action="store_true", help="one, two and four workers")
    options_of.add_argument("--crash", action="store_true", help="kill a worker in the middle of a campaign")
    options_of.add_argument("--opt-outs", type=int, default=0, help="deliver what is planned already while so many say stop")
    options_of.add_argument("--memory", action="store_true", help="plan and deliver to 1,000,000 people, then to 10,000,000")
    options = options_of.parse_args(arguments)
    if (options.scaling or options.crash or options.opt_outs) and options.backend == "embedded":
        options_of.error("with the embedded backend all is one process: add --backend kafka, or real")
    with sink() as outside:
        return report(options, lambda: _figures(options, outside))


def _figures(options: argparse.Namespace, outside: Sink) -> Figures:
    if options.scaling:
        return scaling.measure(options, 600 if options.quick else min(options.recipients, 20_000))
    if options.crash:
        return crash.measure(options, 1500 if options.quick else options.recipients, outside)
    if options.memory:
        return memory.measure(outside, *((2000, 20_000) if options.quick else (1_000_000, 10_000_000)))
    if options.opt_outs:
        recipients, opt_outs = (1500, 30) if options.quick else (options.recipients, options.opt_outs)
        return delivery.measure(options, recipients, opt_outs, outside)
    return measure(options, outside)
