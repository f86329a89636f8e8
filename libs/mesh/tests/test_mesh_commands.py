"""The commands that a mesh of separate processes needs beside its services."""

from __future__ import annotations

import signal
import smtplib
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
from click.testing import CliRunner

from postlaw_common.probe import ready
from postlaw_common.rpc.tls import identity_from_files
from postlaw_common.testing.backing.processes import free_port
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
        assert "hello" in httpx.get(f"http://127.0.0.1:{port}/").text
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()


def test_an_inbox_whose_port_is_taken_says_so_in_one_line() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        done = CliRunner().invoke(main, ["inbox", "--smtp-port", str(holder.getsockname()[1]), "--port", str(free_port())])
    assert done.exit_code == 1
    assert "cannot listen" in done.output
    assert len(done.output.strip().splitlines()) == 1


def test_the_probe_says_no_where_nobody_listens() -> None:
    assert not ready(f"http://127.0.0.1:{free_port()}/readyz")


def test_a_service_that_there_is_not_cannot_be_run() -> None:
    done = CliRunner().invoke(main, ["run", "mallory"])
    assert done.exit_code == 2
