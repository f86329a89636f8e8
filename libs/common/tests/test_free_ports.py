"""Ports on loopback: no two processes are given the same one, though nobody listens there yet."""

from __future__ import annotations

import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from postlaw_common import free_ports
from postlaw_common.free_ports import free_port

ANOTHER = "import sys; from postlaw_common.free_ports import free_port; print(free_port(), flush=True); sys.stdin.read()"


def test_a_port_that_another_process_was_given_is_given_to_nobody_else_while_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    own = free_port()
    with subprocess.Popen([sys.executable, "-c", ANOTHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdin is not None and other.stdout is not None
        theirs, lowest = int(other.stdout.readline()), 10_000
        drawn = iter([own, theirs, *range(lowest, lowest + 100)])
        monkeypatch.setattr(secrets, "randbelow", lambda below: next(drawn) - lowest)
        assert free_port() not in (own, theirs)
        other.stdin.close()
        other.wait()
        monkeypatch.setattr(secrets, "randbelow", lambda below: theirs - lowest)
        assert free_port() == theirs, "it has ended"


def test_where_nothing_can_be_written_and_no_linux_tells_of_its_ports_one_process_is_given_none_twice(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path / "none"))
    monkeypatch.setattr(free_ports, "_OUTGOING", tmp_path / "no proc")
    monkeypatch.setattr(free_ports, "_given", vars(free_ports)["_Given"]())
    assert len({free_port() for _ in range(20)}) == 20
