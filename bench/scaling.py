"""`bench send --scaling`: one, two and four workers on the same partitions, by a receiver that takes its time.

On two cores that sink, Kafka and every service share, four workers cannot be quicker than one by their processor time. So the receiver
holds each reply for a while: what a worker makes is then what its connections carry, and what is measured is whether partitions, claims and
the planner let further workers make as much each. `scaling` is two workers over one, `scaling_4` four over one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from typing import Any

from bench.campaigns import campaign, imported, taken
from bench.running import Figures, mesh, say
from bench.sinks import Sink, sink
from tools.composed_mesh import ComposedMesh

WORKERS = (1, 2, 4)
HELD_S = "0.03"  # a reply: ten connections of one worker then carry 330 messages a second
SETTLES_S = 60.0


def measure(options: argparse.Namespace, recipients: int) -> Figures:
    with sink("--delay", HELD_S) as slow, mesh(options.backend, slow.place, workers=1) as ready:
        composed: ComposedMesh = ready["composed"]
        list_id = asyncio.run(imported(ready, recipients))
        rates: dict[int, float] = {}
        sent: list[bool] = []
        for count in WORKERS:
            composed.start_workers(range(max(rates, default=1), count))
            _spread(composed, count)
            rates[count], all_sent = _one(ready, list_id, slow, recipients)
            sent.append(all_sent)
            say(f"{count} workers: {rates[count]:.0f} a second")
    return {
        "recipients": recipients,
        **{f"per_second_{count}": round(rate) for count, rate in rates.items()},
        "scaling": round(rates[2] / rates[1], 2),
        "scaling_4": round(rates[4] / rates[1], 2),
        "sent_equals_sink": all(sent),
    }


def _one(ready: dict[str, Any], list_id: str, outside: Sink, recipients: int) -> tuple[float, bool]:
    totals = asyncio.run(campaign(ready, list_id))
    run = taken(outside)
    return run.per_second, int(totals["sent"]) == run.handed == run.people == recipients


def _spread(composed: ComposedMesh, workers: int) -> None:
    """Returns once each has its share of the partitions. RuntimeError where they never come to it."""
    until = time.monotonic() + SETTLES_S
    while True:
        held = [row["owner"] for row in holdings(composed)]
        counts = [held.count(owner) for owner in set(held)]
        if "" not in held and len(counts) == workers and max(counts) - min(counts) <= 1:
            return
        if time.monotonic() > until:
            raise RuntimeError(f"the partitions did not spread over {workers} workers: {held}")
        time.sleep(0.5)


def holdings(composed: ComposedMesh) -> list[dict[str, Any]]:
    """What `postlaw sending holdings` says, a row a partition."""
    said = composed.once("credentials", "sending", "holdings", "--json")
    return [json.loads(line) for line in said.splitlines()]
