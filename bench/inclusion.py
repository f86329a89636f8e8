"""How soon everything that happens while a campaign goes out is below the published checkpoint, by the log itself.

The checkpoint is fetched through the public door all the while. Afterwards each entry says when the bus had taken it: from there to the
first checkpoint seen that covers it is what its inclusion took, up to the time between two looks too much.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right
from contextlib import aclosing

import httpx

from bench.campaigns import campaign, imported, taken
from bench.running import Figures, mesh, say
from bench.sinks import sink
from postlaw.audit.v1 import audit_pb2 as audit
from postlaw_audit.notes import parse_checkpoint
from postlaw_audit.sources import CHECKPOINT, HttpFiles
from postlaw_audit.verifying import bundles

LOOK_EVERY_S = 0.02
AFTERWARDS_S = 3.0
Seen = list[tuple[int, int]]  # size, and when it was seen first (microseconds since the epoch)


def measure(backend: str, recipients: int) -> Figures:
    with sink() as outside, mesh(backend, outside.place, settings={"POSTLAW_AUDIT_ENTRIES_ARE_PUBLIC": "true"}) as ready:
        list_id = asyncio.run(imported(ready, recipients))
        figures = asyncio.run(_measured(ready, list_id))
        sent = taken(outside)
    say(f"{figures['sending_entries']} entries while {sent.handed} messages went out")
    return {**figures, "sending_per_second": round(sent.per_second)}


async def _measured(ready: dict[str, str], list_id: str) -> Figures:
    async with httpx.AsyncClient(timeout=30.0) as http:
        files, seen = HttpFiles(f"{ready['gateway']}/v1/audit/log", http), Seen()
        looking = asyncio.create_task(_look(files, seen))
        await asyncio.sleep(AFTERWARDS_S)  # the import's last entries are no campaign's
        began_us = time.time_ns() // 1000
        await campaign(ready, list_id)
        ended_us = time.time_ns() // 1000
        await asyncio.sleep(AFTERWARDS_S)
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        took = sorted(await _took(files, seen, began_us, ended_us))
    return {
        "inclusion_median_ms": round(took[len(took) // 2] / 1000),
        "inclusion_p99_ms": round(took[len(took) * 99 // 100] / 1000),
        "inclusion_longest_ms": round(took[-1] / 1000),
        "sending_entries": len(took),
    }


async def _look(files: HttpFiles, seen: Seen) -> None:
    while True:
        note = await files.get(CHECKPOINT)
        size = parse_checkpoint(note.decode()).size if note else 0
        if not seen or size > seen[-1][0]:
            seen.append((size, time.time_ns() // 1000))
        await asyncio.sleep(LOOK_EVERY_S)


async def _took(files: HttpFiles, seen: Seen, began_us: int, ended_us: int) -> list[int]:
    """Microseconds of each entry that the bus took meanwhile."""
    sizes, found, index = [size for size, _ in seen], list[int](), 0
    async with aclosing(bundles(files, sizes[-1])) as reading:
        async for bundle in reading:
            for entry in map(audit.Entry.FromString, bundle):
                if began_us <= entry.time_us < ended_us:
                    found.append(seen[bisect_right(sizes, index)][1] - entry.time_us)
                index += 1
    return found
