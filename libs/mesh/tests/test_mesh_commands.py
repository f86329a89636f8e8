"""The commands that a mesh of separate processes needs beside its services."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import smtplib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import httpx
import pytest
from click.testing import CliRunner

from postlaw_common.free_ports import free_port
from postlaw_common.probe import ready
from postlaw_common.rpc.tls import identity_from_files
from postlaw_common.testing.patience import PATIENCE_S
from postlaw_mesh.command import main


def test_certificates_are_what_a_service_accepts_and_nobody_elses(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["certificates", str(tmp_path)])
    assert done.exit_code == 0, done.output
    for service in ("identity", "sending", "operator"):
        files = tmp_path / service
        identity_from_files(service, trusted=files / "ca.pem", certificate=files / "certificate.pem", key=files / "key.pem")
        assert (files / "key.pem").stat().st_mode & 0o077 == 0


def test_a_second_run_renews_certificates_under_the_same_authority(tmp_path: Path) -> None:
    for _ in range(2):
        assert CliRunner().invoke(main, ["certificates", str(tmp_path), "audit"]).exit_code == 0
    first = (tmp_path / "audit" / "ca.pem").read_bytes(), (tmp_path / "audit" / "certificate.pem").read_bytes()
    CliRunner().invoke(main, ["certificates", str(tmp_path), "audit"])
    second = (tmp_path / "audit" / "ca.pem").read_bytes(), (tmp_path / "audit" / "certificate.pem").read_bytes()
    assert first[0] == second[0]
    assert first[1] != second[1]


def test_a_service_that_there_is_not_gets_no_certificate(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["certificates", str(tmp_path), "mallory"])
    assert done.exit_code == 2
    assert "mallory" in done.output
    assert not (tmp_path / "mallory").exists()


def test_the_inbox_alone_takes_mail_shows_it_and_ends_in_order() -> None:
    smtp, port = free_port(), free_port()
    process = subprocess.Popen([sys.executable, "-m", "postlaw_mesh", "inbox", "--smtp-port", str(smtp), "--port", str(port)])
    try:
        while not ready(f"http://127.0.0.1:{port}/readyz"):
            assert process.poll() is None
            time.sleep(0.05)
        with smtplib.SMTP("127.0.0.1", smtp) as client:
            client.sendmail("a@example.org", ["ada@example.com"], b"Subject: hello\r\n\r\nhi\r\n")
        assert "hello" in httpx.get(f"http://127.0.0.1:{port}/", timeout=PATIENCE_S).text
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()


def test_a_demo_that_is_told_to_end_leaves_no_mesh_behind(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "postlaw_mesh", "demo", "--state", str(tmp_path), "--json"]
    process = subprocess.Popen(words, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while len(list(tmp_path.iterdir())) < 2:  # its log, and what the mesh itself has begun to keep
            time.sleep(0.05)
        process.terminate()
        process.wait(PATIENCE_S)
        with pytest.raises(ProcessLookupError):
            os.killpg(process.pid, 0)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def test_an_inbox_whose_port_is_taken_says_so_in_one_line() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        done = CliRunner().invoke(main, ["inbox", "--smtp-port", str(holder.getsockname()[1]), "--port", str(free_port())])
    assert done.exit_code == 1
    assert "cannot listen" in done.output
    assert len(done.output.strip().splitlines()) == 1


def every_command(group: click.Group = main, *words: str) -> Iterator[tuple[str, ...]]:
    """The words of each command and group, the program itself among them."""
    yield words
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        if isinstance(command, click.Group):
            yield from every_command(command, *words, name)
        else:
            yield (*words, name)


@pytest.mark.parametrize("words", [*every_command()], ids=" ".join)
def test_every_command_shows_an_example_and_states_its_exit_codes(words: tuple[str, ...]) -> None:
    said = CliRunner().invoke(main, [*words, "--help"]).output
    assert re.search(rf"Example:\n +postlaw {' '.join(words)}", said), said
    assert "Exit codes: 0 " in " ".join(said.split())


@pytest.mark.parametrize(
    "read",
    [
        "dev",
        "demo",
        "credentials",
        "dlq list",
        "dlq show",
        "audit verify",
        "identity sender",
        "sending holdings",
        "generation show",
        "suppress-everywhere",
    ],
)
def test_what_a_command_has_to_read_can_be_had_as_json(read: str) -> None:
    assert "--json" in CliRunner().invoke(main, [*read.split(), "--help"]).output


@pytest.mark.parametrize("below", ["file", "file/below"])
@pytest.mark.parametrize(
    "command",
    [
        "dev --state",
        "demo --state",
        "certificates",
        "audit verify --state",
        "credentials",
        "dlq list",
        "generation show",
        "identity sender ten_1",
        "sending holdings",
    ],
)
def test_a_state_path_that_is_a_file_is_one_clear_line(tmp_path: Path, command: str, below: str) -> None:
    (tmp_path / "file").touch()
    state = str(tmp_path / below)
    words = [*command.split(), state] if command.endswith(("--state", "certificates")) else command.split()
    done = CliRunner().invoke(main, words, env={"POSTLAW_STATE": state})
    assert isinstance(done.exception, SystemExit)
    assert done.exit_code == (3 if command.startswith("audit") else 1)
    assert len(done.output.strip().splitlines()) == 1
    assert state in done.output


def test_the_probe_says_no_where_nobody_listens() -> None:
    assert not ready(f"http://127.0.0.1:{free_port()}/readyz")


def test_a_service_that_there_is_not_cannot_be_run() -> None:
    done = CliRunner().invoke(main, ["run", "mallory"])
    assert done.exit_code == 2
