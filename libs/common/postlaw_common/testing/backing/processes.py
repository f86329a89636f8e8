"""Programs started for tests: on loopback, each with a pid file and a log, stopped by pid and never by name."""

from __future__ import annotations

import os
import pwd
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


class BackingFailed(Exception):
    """A backing service cannot be installed or started; the message says why, and where its log is."""


def _started_at(pid: int) -> str | None:
    """The kernel's start time of a live process: with the pid it names one process for good. None where it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


class Program:
    """One program of the backing, `directory`/`name`.pid and `.log`."""

    def __init__(self, directory: Path, name: str) -> None:
        self.name = name
        self._pid_file = directory / f"{name}.pid"
        self.log = directory / f"{name}.log"
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The pid while it runs, whoever started it."""
        if self._child is not None and self._child.poll() is not None:
            return None
        try:
            pid, _, started = self._pid_file.read_text().partition(" ")
        except OSError:
            return None
        return int(pid) if started and _started_at(int(pid)) == started else None

    def start(
        self, command: Sequence[str], *, env: Mapping[str, str] | None = None, user: str | None = None, cwd: Path | None = None
    ) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        group = pwd.getpwnam(user).pw_gid if user else None
        with self.log.open("wb") as log:
            self._child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, **(env or {})},
                user=user, group=group, extra_groups=[] if user else None, cwd=cwd, start_new_session=True,
            )  # fmt: skip
        self._pid_file.write_text(f"{self._child.pid} {_started_at(self._child.pid)}")

    def wait(self, ready: Callable[[], bool], seconds: float) -> None:
        """Until it is ready. Raises BackingFailed with the log's end when it ends before, or takes longer."""
        deadline = time.monotonic() + seconds
        while not ready():
            if self.pid is None:
                raise BackingFailed(f"{self.name} ended while it started; {self.log} says: {self._tail()}")
            if time.monotonic() > deadline:
                raise BackingFailed(f"{self.name} was not ready within {seconds:.0f} s; {self.log} says: {self._tail()}")
            time.sleep(0.05)

    def _tail(self) -> str:
        return " | ".join(self.log.read_text(errors="replace").splitlines()[-5:])

    def logged(self, text: str) -> bool:
        return text in self.log.read_text(errors="replace")

    def send(self, number: signal.Signals) -> None:
        if (pid := self.pid) is not None:
            os.kill(pid, number)

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = 15.0) -> None:
        """Returns when it has ended; kills it where it does not end by itself in time."""
        pid = self.pid
        if pid is None:
            self._pid_file.unlink(missing_ok=True)
            return
        os.kill(pid, number)
        deadline = time.monotonic() + seconds
        while self.pid is not None:
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
                deadline = float("inf")
            time.sleep(0.02)
        self._pid_file.unlink(missing_ok=True)


def listening(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=0.5):
            return True
    except OSError:
        return False


def run(command: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None, user: str | None = None) -> None:
    """One command to its end. Raises BackingFailed with the last lines that it printed."""
    surroundings = {**os.environ, **(env or {})}
    done = subprocess.run(
        command, cwd=cwd, env=surroundings, user=user, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = " | ".join((done.stdout + done.stderr).strip().splitlines()[-5:])
        raise BackingFailed(f"{' '.join(map(str, command))[:200]} failed: {said}")
