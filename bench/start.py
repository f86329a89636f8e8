"""`postlaw dev`: seconds until it is ready, from the command's start, and resident memory at rest, ten seconds later."""

from __future__ import annotations

import time

from bench.running import Figures, mesh, parser, report, resident_mb


def measure(backend: str, rest_s: float) -> Figures:
    began = time.perf_counter()
    with mesh(backend) as ready:
        ready_s = time.perf_counter() - began
        time.sleep(rest_s)
        return {"ready_s": round(ready_s, 2), "resident_mb": resident_mb(ready["pid"])}


def main(arguments: list[str]) -> int:
    options = parser("start", __doc__ or "").parse_args(arguments)
    return report(options, lambda: measure(options.backend, 1.0 if options.quick else 10.0))
