"""Importing people from CSV: rows a second through the whole mesh, sealing, consent ledger and audit log on, and peak memory.

`per_second` is rows by the wall clock; `per_core_second` rows per second of processor time that the mesh used, on all cores. `peak_mb` is
the highest of any one process of the mesh, `peak_of` which; on real parts Kafka, the store and S3 are other people's and do not count.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Iterable
from pathlib import Path
from typing import Any

from bench.running import Figures, mesh, parser, report, resident_mb, say
from postlaw_mesh.demo.people import ATTESTED
from postlaw_mesh.rest_client import ApiProblem, RestClient, client


async def people(count: int) -> AsyncGenerator[bytes]:
    """The file in pieces, so that this process needs no memory for it either."""
    yield b"email,name,city\n"
    for start in range(0, count, 1000):
        yield b"".join(b"user%d@example.com,User %d,Paris\n" % (i, i) for i in range(start, min(count, start + 1000)))


def processor_seconds(pids: Iterable[int]) -> float:
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    return sum(int(each[11]) + int(each[12]) for each in fields) / os.sysconf("SC_CLK_TCK")


async def run_import(api: RestClient, list_id: str, rows: int) -> None:
    """Returns when all of them are in. Raises ApiProblem where they are not."""
    import_id = await api.start_import(list_id, people(rows), ATTESTED)
    async for state in api.watch_import(import_id):
        if state["state"] in ("failed", "cancelled") or (state["state"] == "done" and state["added"] != rows):
            raise ApiProblem(f"the import ended as {state}")


async def imported_list(api: RestClient, rows: int) -> tuple[str, float]:
    """A new list with that many people; seconds from the first byte sent to the job done."""
    list_id = await api.create_list("bench")
    began = time.perf_counter()
    await run_import(api, list_id, rows)
    seconds = time.perf_counter() - began
    say(f"imported {rows} in {seconds:.1f} s")
    return list_id, seconds


async def timed_import(ready: dict[str, Any], rows: int) -> float:
    """Seconds from the first byte sent to the job done."""
    async with client(ready["gateway"], ready["api_key"]) as api:
        return (await imported_list(api, rows))[1]


def measure(backend: str, rows: int) -> Figures:
    with mesh(backend) as ready:
        pids: dict[str, int] = {name: pid for name, pid in ready["pids"].items() if Path(f"/proc/{pid}/status").exists()}
        at_rest = max(resident_mb(pid) for pid in pids.values())
        before = processor_seconds(pids.values())
        seconds = asyncio.run(timed_import(ready, rows))
        used = processor_seconds(pids.values()) - before
        peaks = {name: resident_mb(pid, peak=True) for name, pid in pids.items()}
        peak_of = max(peaks, key=peaks.__getitem__)
        say(f"{rows} rows in {seconds:.1f} s, {used:.1f} s of processor time")
        return {
            "rows": rows,
            "per_second": round(rows / seconds),
            "per_core_second": round(rows / used),
            "peak_mb": peaks[peak_of],
            "peak_of": peak_of,
            "at_rest_mb": at_rest,
        }


def main(arguments: list[str]) -> int:
    options_of = parser("import", __doc__ or "")
    options_of.add_argument("--rows", type=int, default=100_000)
    options = options_of.parse_args(arguments)
    return report(options, lambda: measure(options.backend, 5000 if options.quick else options.rows))
