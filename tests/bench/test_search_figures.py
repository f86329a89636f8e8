"""The figures of finding entries have a short form that runs through."""

from __future__ import annotations

import json
import subprocess
import sys


def test_every_kind_of_question_is_measured() -> None:
    done = subprocess.run([sys.executable, "-m", "bench", "search", "--quick"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["entries"] == 3000 and figures["index_mb"] > 0
    assert 0 < figures["median_ms"] <= figures["p99_ms"]
    assert {"person", "action", "time", "campaign", "trace", "nobody"} < figures["p99_of"].keys() == figures["median_of"].keys()
