"""Everything that `make check` checks: `python -m tools.check [STEP …]`.

A step whose tool is missing is named and left out, unless POSTLAW_REQUIRE=all (as in CI): then it fails.
"""

from __future__ import annotations

import filecmp
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tools.generate_contracts import ROOT, generate


@dataclass(frozen=True, slots=True)
class Step:
    name: str
    needs: str  # the program that it runs
    run: Callable[[], bool]


def command(*words: str, cwd: Path = ROOT) -> Callable[[], bool]:
    return lambda: subprocess.run(words, cwd=cwd, check=False).returncode == 0


def contracts_are_fresh() -> bool:
    """Whether libs/contracts is what protos/ generates today."""
    committed = ROOT / "libs" / "contracts"
    with tempfile.TemporaryDirectory() as directory:
        made = Path(directory)
        generate(made)
        names = sorted(str(path.relative_to(made)) for path in made.rglob("*.py*"))
        there = sorted(str(path.relative_to(committed)) for path in committed.rglob("*.py*") if "__pycache__" not in path.parts)
        _, differing, missing = filecmp.cmpfiles(made, committed, names, shallow=False)
    wrong = sorted({*differing, *missing, *(set(there) - set(names))})
    for name in wrong:
        print(f"libs/contracts/{name} is not what protos/ generates; run `make proto`")
    return not wrong


STEPS = [
    Step("lint", "ruff", command("ruff", "check", ".")),
    Step("format", "ruff", command("ruff", "format", "--check", "--quiet", ".")),
    Step("types", "basedpyright", command("basedpyright", "--level", "error")),
    Step("boundaries", "lint-imports", command("lint-imports", "--no-cache")),
    Step("contracts", "buf", command("buf", "lint", cwd=ROOT / "protos")),
    Step("generated", "python", contracts_are_fresh),
    Step("asyncapi", "python", command(sys.executable, "-m", "tools.generate_asyncapi", "--check")),
    Step("chart", "python", command(sys.executable, "-m", "tools.service_settings", "--check")),
    Step("compliance", "python", command(sys.executable, "-m", "tools.compliance", "--check")),
    Step("model", "spin", command(sys.executable, "docs/model/check.py")),
]


def main() -> int:
    wanted = sys.argv[1:]
    unknown = set(wanted) - {step.name for step in STEPS}
    if unknown:
        print(f"no such step: {', '.join(sorted(unknown))}; there are {', '.join(step.name for step in STEPS)}")
        return 2
    failed: list[str] = []
    for step in STEPS:
        if wanted and step.name not in wanted:
            continue
        began = time.monotonic()
        if shutil.which(step.needs) is None:
            required = os.environ.get("POSTLAW_REQUIRE") == "all"
            print(f"{'FAILED' if required else 'left out'}  {step.name}: {step.needs} is not installed", flush=True)
            failed += [step.name] if required else []
            continue
        passed = step.run()
        print(f"{'passed' if passed else 'FAILED'}  {step.name}  {time.monotonic() - began:.1f} s", flush=True)
        failed += [] if passed else [step.name]
    if failed:
        print(f"make check failed: {', '.join(failed)}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
