"""Other people's programs for logs in tlog-tiles layout, built from deploy/backing/log-verifiers into .backing/bin: what they accept, we do
not only believe ourselves.

`sumdbcheck` is Go's own sumdb packages, `fsck` Tessera's, `witness` transparency-dev's.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from postlaw_common.testing.backing.processes import BackingFailed, run

PROGRAMS = ("sumdbcheck", "fsck", "witness")
_WITHIN_S = 120


def install(checkout: Path) -> None:
    """Half a minute the first time, nothing after. Raises BackingFailed."""
    recipe, bin = checkout / "deploy" / "backing" / "log-verifiers", checkout / ".backing" / "bin"
    sources = [file for file in recipe.rglob("*") if file.is_file()]
    if installed(checkout) and min((bin / name).stat().st_mtime for name in PROGRAMS) >= max(file.stat().st_mtime for file in sources):
        return
    if shutil.which("go") is None:
        raise BackingFailed("the log's verifiers need Go: https://go.dev/dl")
    bin.mkdir(parents=True, exist_ok=True)
    command = ["go", "build", "-trimpath", "-o", f"{bin}/", "./sumdbcheck", "./witness", "github.com/transparency-dev/tessera/cmd/fsck"]
    run(command, cwd=recipe)
    for name in PROGRAMS:
        os.utime(bin / name)  # one that was up to date is left as it was


def installed(checkout: Path) -> bool:
    return all((checkout / ".backing" / "bin" / name).exists() for name in PROGRAMS)


def header(checkout: Path) -> str:
    return (
        f"log verifiers: {'.backing/bin' if installed(checkout) else 'left out: not installed (python deploy/backing/backing.py install)'}"
    )


class LogVerifiers:
    """`at` is the log's folder or URL; `key` a file that holds its key in note format."""

    def __init__(self, checkout: Path) -> None:
        self._bin = checkout / ".backing" / "bin"

    def sumdbcheck(self, at: str, key: Path, *, earlier: Path | None = None, every: int = 1) -> dict[str, Any] | str:
        """{size, root, proven} where note, proofs and consistency hold; else what it says. `every`: 1 for a proof of each entry."""
        options = ["--every", str(every), *(["--earlier", str(earlier)] if earlier else [])]
        done = self._run("sumdbcheck", "--log", at, "--public_key", str(key), *options)
        return json.loads(done.stdout) if done.returncode == 0 else done.stderr

    def fsck(self, at: str, key: Path) -> str:
        """What it says; its exit code is 0 in any case."""
        url = at if at.startswith("http") else f"file://{at}"
        return self._run("fsck", f"--storage_url={url}/", f"--public_key={key}", "--ui=false").stderr

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(self._bin / program), *arguments]
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=_WITHIN_S)

    @contextmanager
    def witness(self, private_key: Path, log_key: Path) -> Generator[str]:
        """The URL of a witness of this one log. `private_key`: a file that holds its signing key in note format."""
        command = [str(self._bin / "witness"), "--private_key", str(private_key), "--log_key", str(log_key)]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as running:
            try:
                assert running.stdout is not None
                yield f"http://{running.stdout.readline().strip()}"
            finally:
                running.terminate()
