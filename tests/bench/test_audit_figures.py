"""The figures of the audit log have a short form that runs through."""

from __future__ import annotations

import json
import subprocess
import sys


def test_the_log_is_measured_from_the_bus_to_a_proof() -> None:
    command = [sys.executable, "-m", "bench", "audit", "--quick", "--recipients", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["per_second"] > 0 and figures["proof_ms_p99"] > 0
    assert figures["stored_bytes_per_entry"] > 0 and figures["raw_bytes_per_entry"] > 300
