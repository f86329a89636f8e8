"""Checks the model of the stop with spin: it must hold, and each of the four mutations must break it.

python docs/model/check.py            about half a minute; needs spin and a C compiler
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

MODEL = Path(__file__).resolve().parent / "stop.pml"
MUTATIONS = {
    "FENCED=0": "a claim is written whatever the epoch",
    "STALE=1": "the epoch is read before the opt-out is published",
    "FORGET=1": "recipients that a lost worker left open are forgotten after a while",
    "ONE=1": "the watermark waits for one message to the address, not for all of them",
}


def violations(mutation: str | None) -> tuple[int, str]:
    """(errors, stored states) that spin finds in the model, with one of its rules broken or none."""
    with tempfile.TemporaryDirectory() as directory:
        define = [f"-D{mutation}"] if mutation else []
        subprocess.run(["spin", *define, "-a", str(MODEL)], cwd=directory, check=True, capture_output=True)
        subprocess.run(["gcc", "-O2", "-w", "-DSAFETY", "-DVECTORSZ=2048", "-o", "pan", "pan.c"], cwd=directory, check=True)
        found = subprocess.run(["./pan", "-m2000000", "-w26", "-E"], cwd=directory, check=True, capture_output=True, text=True).stdout
    errors = re.search(r"errors: (\d+)", found)
    states = re.search(r"(\d+) states, stored", found)
    if errors is None or states is None or "max search depth too small" in found:
        raise SystemExit(f"spin did not finish its search:\n{found}")
    return int(errors.group(1)), states.group(1)


def main() -> int:
    try:
        errors, states = violations(None)
    except FileNotFoundError as missing:
        print(f"the model cannot be checked: {missing.filename} is not installed (Debian: spin, gcc)")
        return 2
    print(f"{'holds' if not errors else 'VIOLATED'}: {states} states")
    failed = bool(errors)
    for mutation, meaning in MUTATIONS.items():
        errors, _ = violations(mutation)
        print(f"{'breaks, as it must' if errors else 'STILL HOLDS, so the model proves nothing'}: {mutation}, {meaning}")
        failed |= not errors
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
