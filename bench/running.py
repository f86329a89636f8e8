"""What the benchmarks share: options, several runs and their median, a mesh of their own, the machine."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from postlaw_mesh.demo.command import mesh_beside_us

Figures = dict[str, Any]


def parser(name: str, what: str, backends: Sequence[str] = ("embedded", "real")) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog=f"python -m bench {name}", description=what, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--backend", choices=backends, default="embedded")
    made.add_argument("--quick", action="store_true", help="a small run, to see that it works; its figures do not count")
    made.add_argument("--runs", type=int, default=1, help="repeat, and print the median of each figure")
    return made


def report(options: argparse.Namespace, run: Callable[[], Figures]) -> int:
    """Runs, prints each run's figures and, last, the median of all as one line of JSON."""
    runs: list[Figures] = []
    for number in range(options.runs):
        runs.append(run())
        print(f"run {number + 1} of {options.runs}: {json.dumps(runs[-1])}", flush=True)
    figures = {name: _middle([figures[name] for figures in runs]) for name in runs[0]}
    machine = {"cores": os.cpu_count(), "python": platform.python_version()}
    print(json.dumps({**figures, "backend": options.backend, "runs": options.runs, "quick": options.quick, "machine": machine}))
    return 0


def _middle(values: list[Any]) -> Any:
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return statistics.median(values)
    if all(isinstance(value, bool) for value in values):
        return all(values)
    return values[-1]


@contextmanager
def mesh(
    backend: str, relay: str = "", *, workers: int | None = None, settings: Mapping[str, str] | None = None, together: bool = False
) -> Generator[dict[str, Any]]:
    """A fresh installation, running beside us: gateway, inbox, api_key, pid, pids by service, state.

    `relay`: HOST:PORT of whoever takes the mail. `settings`: environment of every service. `workers`: processes that deliver, where they
    have processes of their own (`kafka` and `real`, whose `composed` is the ComposedMesh); by default as many as docker-compose.yml has.
    `together`: all other services in one process there, not each in its own."""
    with tempfile.TemporaryDirectory(prefix="postlaw-bench-") as directory:
        home = Path(directory)
        if backend == "embedded":
            options = ("--relay", relay) if relay else ()
            with mesh_beside_us(home, *options, settings=settings) as ready:
                yield {**ready, "pids": {"mesh": ready["pid"]}}
        else:
            from bench.real_mesh import BACKINGS, composed_mesh

            with (
                BACKINGS[backend](home) as backing,
                composed_mesh(home, backing, relay, workers, settings or {}, together=together) as ready,
            ):
                yield ready


def deployed(options: argparse.ArgumentParser) -> None:
    """How many processes a mesh has that is more than one: `workers`, `together`, as `mesh` takes them."""
    options.add_argument("--workers", type=int, help="processes that deliver, where they have processes of their own")
    options.add_argument("--together", action="store_true", help="all other services in one process, not each in its own")


def resident_mb(pid: int, *, peak: bool = False) -> float:
    """Resident memory of a process, megabytes, now or at its highest."""
    wanted = "VmHWM:" if peak else "VmRSS:"
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(wanted):
            return round(int(line.split()[1]) / 1024, 1)
    raise LookupError(f"no {wanted} of process {pid}")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
