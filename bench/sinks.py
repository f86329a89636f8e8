"""Starts a sink in a process of its own: the Go one where `go` is there and no faults are asked for, else the Python one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Sink:
    """A running sink. `kind`: "go" or "python"; `stats`: the URL under which /stats, /records, /sample and /reset lie."""

    kind: str
    host: str
    port: int
    stats: str
    pid: int

    @property
    def place(self) -> str:
        """HOST:PORT, as a relay is named."""
        return f"{self.host}:{self.port}"

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.stats + path, timeout=60) as answer:
            return answer.read().decode()

    def reset(self) -> None:
        urllib.request.urlopen(urllib.request.Request(self.stats + "/reset", method="POST"), timeout=60).close()

    def counts(self) -> dict[str, float]:
        words = self.get("/stats").split()
        return {name: float(value) for name, value in zip(words[::2], words[1::2], strict=True)}

    def records(self) -> list[tuple[int, int, str, int]]:
        """(begin_ns, end_ns, recipient, bytes) of each hand-off."""
        rows = (line.split("\t") for line in self.get("/records").splitlines())
        return [(int(begin), int(end), who, int(size)) for begin, end, who, size in rows]


@contextmanager
def sink(*options: str) -> Generator[Sink]:
    """A sink for as long as the block runs. `options` are bench.sink's, for example "--delay", "2"."""
    kind, command = ("python", [sys.executable, "-m", "bench.sink", *options]) if options else _fastest()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=_HERE.parent)
    try:
        assert process.stdout is not None
        ports = json.loads(process.stdout.readline())
        yield Sink(kind, "127.0.0.1", ports["smtp"], f"http://127.0.0.1:{ports['http']}", process.pid)
    finally:
        process.terminate()
        process.wait(10)


def _fastest() -> tuple[str, Sequence[str]]:
    """Without `go`, or where it cannot build, the Python sink."""
    go = shutil.which("go")
    if go is None:
        return "python", [sys.executable, "-m", "bench.sink"]
    source = (_HERE / "sink" / "main.go").stat()
    # kept between runs: a first build takes some 20 s
    program = Path(tempfile.gettempdir()) / f"postlaw-sink-{os.getuid()}-{source.st_mtime_ns}-{source.st_size}"
    if not program.exists():
        fresh = program.with_suffix(f".{os.getpid()}")
        built = subprocess.run([go, "build", "-o", str(fresh), "."], cwd=_HERE / "sink", capture_output=True, text=True, check=False)
        if built.returncode:
            print(f"the Go sink does not build, taking the Python one: {built.stderr.strip()}", file=sys.stderr)
            return "python", [sys.executable, "-m", "bench.sink"]
        fresh.replace(program)
    return "go", [str(program)]
