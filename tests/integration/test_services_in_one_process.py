"""A small machine's deployment: every service in one process, delivery in another, on Kafka, a MongoDB-wire server, S3 with Object Lock."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from postlaw_common.testing.promises import promise
from postlaw_mesh.demo.journey import journey
from postlaw_mesh.run_command import SERVICES
from tests.integration.test_mesh_on_real_parts import PATIENCE_S, STOPPED_SHARE
from tools.composed_mesh import ComposedMesh

PEOPLE, OPT_OUTS = 1_000, 20


@pytest.fixture
def started() -> Callable[[ComposedMesh], None]:
    return lambda mesh: mesh.start_all(1, together=True)


@promise("M6")
async def test_services_that_share_a_process_stop_mail_of_a_worker_that_does_not(composed_mesh: Any) -> None:
    assert sorted(composed_mesh.programs) == ["inbox", "sending-worker-1", "together"]
    result = await journey(composed_mesh.ready(), PEOPLE, OPT_OUTS, quiet=True, stopped_share=STOPPED_SHARE, patience_s=PATIENCE_S)
    assert int(result["totals"]["sent"]) > 0 and result["verdict"]["opt_outs"] == OPT_OUTS
    # The worker asks identity, consent and subscribers over the network, as each one's own certificate has it.
    environment = _environment_of(composed_mesh.programs["together"].pid)
    assert environment["POSTLAW_TLS_KEY"].endswith("{service}/key.pem")
    assert not [name for name in environment if name in {f"POSTLAW_PEER_{service.upper()}" for service in SERVICES}]
    checked = composed_mesh.once("audit", "audit", "verify", "--json")
    assert json.loads(checked)["valid"]


def _environment_of(pid: int) -> dict[str, str]:
    words = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(word.split("=", 1) for word in words if "=" in word)
