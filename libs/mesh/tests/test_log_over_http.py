"""Programs of others read the log through the gateway, and nothing else of ours."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from postlaw.identity.v1.identity_pb2_grpc import add_IdentityServiceServicer_to_server
from postlaw_audit.notes import parse_checkpoint
from postlaw_common.events import new_event, to_record
from postlaw_common.testing.log_verifiers import LogVerifiers
from postlaw_common.testing.mesh import fake, mesh
from postlaw_common.testing.patience import PATIENCE_S, patience
from postlaw_common.testing.promises import promise
from postlaw_mesh.builders import builders
from postlaw_mesh.command import main
from services.gateway.tests.played.identity import FakeIdentity

TOPIC, COUNT = "postlaw.consent.events.v1", 300  # a full tile, and a partial one
EVERY = 50  # an entry that is proven: each takes a dozen requests


@promise("A3")
async def test_other_peoples_verifiers_accept_the_log_that_the_gateway_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other_verifiers: LogVerifiers
) -> None:
    monkeypatch.setenv("POSTLAW_AUDIT_ENTRIES_ARE_PUBLIC", "true")
    made = builders()
    services = [made["gateway"], made["audit"], fake("identity", add_IdentityServiceServicer_to_server, FakeIdentity())]
    events = [new_event("x", b"%d" % n, source="consent", subject=f"s{n}", sequence=1, tenant_id="ten_1") for n in range(COUNT)]
    async with mesh(tmp_path / "state", services) as running, httpx.AsyncClient(timeout=PATIENCE_S) as http:
        at = running.http_url() + "/v1/audit/log"
        await running.running.backing.bus.publish([to_record(event, TOPIC, 0) for event in events])
        size = 0
        async with patience():
            while size < COUNT:
                await asyncio.sleep(0.05)
                note = await http.get(f"{at}/checkpoint")
                size = parse_checkpoint(note.text).size if note.status_code == 200 else 0
        key = tmp_path / "log.vkey"
        key.write_bytes((await http.get(f"{at}/log.vkey")).content)
        found = await asyncio.to_thread(other_verifiers.sumdbcheck, at, key, every=EVERY)
        assert isinstance(found, dict), found
        assert (found["size"], found["proven"]) == (size, -(-size // EVERY))
        assert f"Successfully fsck'd log with size {size}" in await asyncio.to_thread(other_verifiers.fsck, at, key)
        words = ["audit", "verify", at, "--key", str(key), "--state", str(tmp_path / "elsewhere"), "--json"]
        ours = await asyncio.to_thread(CliRunner().invoke, main, words)
        assert (ours.exit_code, json.loads(ours.output)["size"]) == (0, size), ours.output
        partial = f"tile/0/001.p/{size - 256}"
        paths = ("checkpoint", "tile/0/000", "tile/entries/000", partial, "tile/0/001", "tile/0/002.p/1", "tile/0/000.p/0", "segment/0")
        answers = [await http.get(f"{at}/{path}") for path in paths]
        kept = "public, max-age=31536000, immutable"
        assert [(one.status_code, one.headers["cache-control"]) for one in answers] == [
            (200, "no-cache"), (200, kept), (200, kept), (200, "public, max-age=60"), *[(404, "no-store")] * 4,
        ]  # fmt: skip
