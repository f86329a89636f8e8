"""`bench send --crash`: SIGKILL of one of two workers in the middle of a campaign; the other finishes it.

`lost`: people without a final state, and those who count as sent and never reached the sink. `twice`: hand-offs beyond the first to one
person. `unknown` is what the product says of itself, `under_open_claims` how many stood under claims that the killed worker left open.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from typing import Any

from bench.campaigns import imported, launched, taken, to_the_end
from bench.running import Figures, mesh, say
from bench.scaling import holdings
from bench.sinks import Sink
from postlaw_mesh.rest_client import accounted, client
from tools.composed_mesh import ComposedMesh

KILLED_AT = 0.4  # of the people are mailed
LOOK_EVERY_S = 0.02


def measure(options: argparse.Namespace, recipients: int, outside: Sink) -> Figures:
    with mesh(options.backend, outside.place, workers=2) as ready:
        composed: ComposedMesh = ready["composed"]
        list_id = asyncio.run(imported(ready, recipients))
        totals = asyncio.run(_killed(ready, composed, list_id, recipients, outside))
        open_claims = sum(int(row["left_open"]) for row in holdings(composed))
    run = taken(outside)
    sent, unknown = int(totals["sent"]), int(totals["unknown"])
    return {
        "recipients": recipients,
        "sent": sent,
        "lost": recipients - accounted(totals) + max(0, sent - run.people),
        "twice": run.twice,
        "unknown": unknown,
        "under_open_claims": open_claims,
        "unknown_within_open_claims": unknown <= open_claims,
        "failed": int(totals["failed"]),
    }


async def _killed(ready: dict[str, Any], composed: ComposedMesh, list_id: str, recipients: int, outside: Sink) -> dict[str, Any]:
    async with client(ready["gateway"], ready["api_key"]) as api:
        campaign_id = await launched(api, list_id)
        while (await asyncio.to_thread(outside.counts))["messages"] < KILLED_AT * recipients:
            await asyncio.sleep(LOOK_EVERY_S)
        composed.programs["sending-worker-1"].stop(signal.SIGKILL)
        say("killed a worker")
        return await to_the_end(api, campaign_id)
