"""One runner's processes: what they hold alone, what they refuse to start with, in one clear line, and how they end."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
import textwrap
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from postlaw.audit.v1 import audit_pb2_grpc
from postlaw.identity.v1 import identity_pb2, identity_pb2_grpc
from postlaw_common.errors import PostlawError
from postlaw_common.http_serving import HttpServer
from postlaw_common.opening import StartRefused, directory_from_outside
from postlaw_common.platform import Platform
from postlaw_common.rpc.directory import published
from postlaw_common.rpc.server import PortTaken
from postlaw_common.rpc.tls import DevelopmentCA, TlsFilesWrong
from postlaw_common.runner import BackgroundFailed, run_process, run_services
from postlaw_common.service import Background, Service
from postlaw_common.settings import PlatformSettings
from postlaw_common.store import CollectionSpec
from postlaw_common.testing.mesh import fake, mesh
from postlaw_common.testing.patience import PATIENCE_S

pytestmark = pytest.mark.usefixtures("no_task_is_left")

add_audit = audit_pb2_grpc.add_AuditServiceServicer_to_server
add_identity = identity_pb2_grpc.add_IdentityServiceServicer_to_server


async def test_a_background_that_raises_is_told_and_ends_the_run(tmp_path: Path) -> None:
    async def broken() -> None:
        raise ZeroDivisionError

    with pytest.raises(BackgroundFailed, match="audit: sums failed: ZeroDivisionError"):
        async with mesh(tmp_path, [lambda _: Service(name="audit", backgrounds=[Background("sums", broken)])]) as m:
            await asyncio.wait({m.running.failed}, timeout=5)


async def test_a_database_has_one_owner_who_declares_it(tmp_path: Path) -> None:
    def claims(name: str) -> Any:
        return lambda _: Service(name=name, databases={"shared": [CollectionSpec("x")]})

    with pytest.raises(StartRefused, match="both claim the database shared"):
        async with mesh(tmp_path, [claims("one"), claims("two")]):
            pass

    def uses(platform: Platform) -> Service:
        platform.store("undeclared")
        return Service(name="one")

    with pytest.raises(StartRefused, match="undeclared"):
        async with mesh(tmp_path, [uses]):
            pass


async def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=f"audit cannot listen on 127.0.0.1:{port}: the port is in use"):
            async with mesh(tmp_path, [fake("audit", add_audit, object())], grpc_port={"audit": port}):
                pass
        with pytest.raises(PortTaken, match=f"127.0.0.1:{port}.*POSTLAW_HTTP_PORT_GATEWAY"):
            async with mesh(tmp_path, [lambda _: Service(name="gateway", http_app=object())], http_port={"gateway": port}):
                pass


async def test_a_port_is_not_shared_with_another_process_of_ours(tmp_path: Path) -> None:
    async with mesh(tmp_path / "one", [fake("audit", add_audit, object())]) as m:
        with pytest.raises(PortTaken):
            async with mesh(tmp_path / "two", [fake("audit", add_audit, object())], grpc_port=m.running.ports):
                pass


async def test_the_development_authority_is_made_once_and_its_key_is_for_its_owner_alone(tmp_path: Path) -> None:
    settings = PlatformSettings(state=tmp_path / "state")
    seen: list[bytes] = []
    for _ in range(2):
        async with run_services(settings, [fake("audit", add_audit, object())]):
            [ca] = (tmp_path / "state" / "tls").iterdir()
            assert stat.S_IMODE(ca.stat().st_mode) == 0o600
            seen.append(ca.read_bytes())
    assert seen[0] == seen[1]


async def test_a_command_beside_the_services_finds_them_through_the_state(tmp_path: Path) -> None:
    settings = PlatformSettings(state=tmp_path)
    async with run_services(settings, [fake("identity", add_identity, object())]):
        outside = directory_from_outside(settings)
        stub: Any = identity_pb2_grpc.IdentityServiceStub(outside.channel("identity", lambda: "operator"))
        with pytest.raises(PostlawError, match="UNIMPLEMENTED"):  # past the door: the operator may call this
            await stub.ListSigningKeys(identity_pb2.ListSigningKeysRequest())
        await outside.close()


async def test_certificate_files_must_name_the_service_they_are_used_for(tmp_path: Path) -> None:
    shown = DevelopmentCA(tmp_path / "tls").identity("consent")
    for name, pem in (("ca", shown.trusted), ("cert", shown.certificate), ("key", shown.key)):
        (tmp_path / name).write_bytes(pem)
    files: dict[str, Any] = {"tls_ca": tmp_path / "ca", "tls_certificate": tmp_path / "cert", "tls_key": tmp_path / "key"}
    settings = PlatformSettings(state=tmp_path / "state", **files)
    async with run_services(settings, [fake("consent", add_audit, object())]):
        pass
    with pytest.raises(TlsFilesWrong, match="its only URI name must be spiffe://postlaw/audit"):
        async with run_services(settings, [fake("audit", add_audit, object())]):
            pass
    (tmp_path / "key").unlink()
    with pytest.raises(TlsFilesWrong, match="key: No such file"):
        async with run_services(settings, [fake("consent", add_audit, object())]):
            pass


PROGRAM = textwrap.dedent("""
    import asyncio, sys
    from postlaw_common.runner import run_alone
    from postlaw_common.service import Background, Service

    async def work():
        sys.stdout.write("ready\\n"); sys.stdout.flush()
        await asyncio.sleep(60)

    async def on_stop():
        sys.stdout.write("stopped\\n"); sys.stdout.flush()

    run_alone("toy", lambda platform: Service(name="toy", backgrounds=[Background("work", work)], on_stop=on_stop))
""")


def start(state: Path) -> subprocess.Popen[str]:
    variables = {**os.environ, "POSTLAW_STATE": str(state)}
    command = [sys.executable, "-c", PROGRAM]
    return subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_a_process_told_to_stop_drains_and_ends_well(tmp_path: Path, told: signal.Signals) -> None:
    process = start(tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(told)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "stopped\n", "")


def toy(background: Callable[[], Awaitable[None]] | None = None) -> Any:
    return lambda _: Service(name="toy", backgrounds=[Background("work", background)] if background else [])


def test_a_background_that_raises_stops_the_process_with_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def broken() -> None:
        raise ValueError("ann@example.org")

    assert run_process("postlaw-toy", [toy(broken)], PlatformSettings(state=tmp_path)) == 1
    line = capsys.readouterr().err
    assert line.startswith("postlaw-toy: toy: work failed: ValueError")
    assert line.count("\n") == 1
    assert "ann@example.org" not in line


def test_a_start_that_cannot_be_is_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    holder = start(tmp_path / "held")
    assert holder.stdout is not None
    assert holder.stdout.readline() == "ready\n"
    try:
        for state, partitions, said in [
            (tmp_path / "fresh", "x", "POSTLAW_PARTITIONS is 'x'"),
            (tmp_path / "file", "4", f"POSTLAW_STATE is {tmp_path / 'file'}: "),
            (tmp_path / "file" / "below", "4", f"POSTLAW_STATE is {tmp_path / 'file' / 'below'}: Not a directory"),
            (tmp_path / "held", "16", f"another process uses {tmp_path / 'held'}"),
        ]:
            monkeypatch.setenv("POSTLAW_STATE", str(state))
            monkeypatch.setenv("POSTLAW_PARTITIONS", partitions)
            assert run_process("postlaw-toy", [toy()]) == 1
            line = capsys.readouterr().err
            assert line.startswith(f"postlaw-toy: {said}")
            assert line.count("\n") == 1
    finally:
        holder.terminate()
        holder.communicate(timeout=20)


async def test_a_service_without_an_app_of_its_own_has_the_probes_alone(tmp_path: Path) -> None:
    async with (
        mesh(tmp_path, [toy()], health_port=0) as m,
        httpx.AsyncClient(base_url=m.http_url("health"), timeout=PATIENCE_S) as http,
    ):
        assert [(await http.get(path)).status_code for path in ("/livez", "/readyz", "/else")] == [200, 200, 404]


async def test_an_http_server_that_is_started_twice_serves_once() -> None:
    server = HttpServer("toy", None, is_ready=lambda: True)
    server.bind("127.0.0.1", 0)
    for _ in range(2):
        await server.start()
    assert [task.get_name() for task in asyncio.all_tasks()].count("http toy") == 1
    await server.drain(1)


async def test_processes_that_share_a_state_withdraw_only_their_own_addresses(tmp_path: Path) -> None:
    async with mesh(tmp_path, [fake("audit", add_audit, object())]):
        (tmp_path / "addresses" / "consent").write_text("127.0.0.1:1")
        (tmp_path / "addresses" / "audit").write_text("127.0.0.1:2")  # another process took the service over
    assert published(tmp_path) == {"consent": "127.0.0.1:1", "audit": "127.0.0.1:2"}
