"""The Helm chart's own pods, started as it says on Kafka, a MongoDB-wire server, S3 with Object Lock and a root key in (a fake of) KMS.

What a cluster adds is not here: admission, scheduling, DNS, network policies, load balancers. The chart's README says so.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import smtplib
import sys
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from postlaw_common.free_ports import free_port
from postlaw_common.rpc.tls import DevelopmentCA
from postlaw_common.testing.backing.kafka import LocalKafka
from postlaw_common.testing.backing.mongodb_wire import LocalMongoWire
from postlaw_common.testing.backing.processes import Program
from postlaw_common.testing.chart_tools import ChartTools
from postlaw_common.testing.kms_fake import KmsFake
from postlaw_common.testing.promises import promise
from postlaw_mesh.demo.journey import journey
from tools.charted_mesh import ChartedMesh
from tools.composed_mesh import START_S, answers
from tools.rendered_chart import CHART, NAMESPACE, RELEASE, RenderedChart

PEOPLE, OPT_OUTS = 600, 20
PATIENCE_S, STOPPED_SHARE = 60.0, 0.9  # as test_mesh_on_real_parts.py has them, for its reasons


@pytest.fixture
async def charted_mesh(
    charts: ChartTools, local_kafka: Callable[[], LocalKafka], local_mongodb: LocalMongoWire, s3_url: str, tmp_path: Path
) -> AsyncGenerator[tuple[ChartedMesh, int]]:
    """The mesh, ready, and the port of the inbox that takes its mail."""
    bucket, _, endpoint = s3_url.partition("?")
    broker = await asyncio.to_thread(local_kafka)
    kms = KmsFake()
    key_service = await kms.start()
    smtp, pages = free_port(), free_port()
    values = {
        "publicUrl": "https://mail.example.com",
        "partitions": 16,
        "bus": {"url": broker.url},
        "store": {"existingSecret": "mongodb"},
        "blobs": {"url": f"{bucket}/chart-{secrets.token_hex(4)}?{endpoint}", "existingSecret": "s3", "createBucket": True},
        "keys": {"url": f"awskms:{kms.key_id}?region=eu-central-1&endpoint={key_service}"},
        "settings": {
            "POSTLAW_SENDING_RELAY_HOST": "127.0.0.1",
            "POSTLAW_SENDING_RELAY_PORT": smtp,
            "POSTLAW_SENDING_RELAY_TLS": "none",  # the inbox next door speaks none
            "POSTLAW_SENDING_UNVERIFIED_DOMAINS": "allow",  # it keeps all mail
            "POSTLAW_GATEWAY_RATE_PER_SECOND": 2000,
            "POSTLAW_GATEWAY_RATE_BURST": 4000,
        },
        # Not every replica of the chart's defaults on two cores: two where two do different work, or take turns.
        "services": {
            name: {"replicas": 2 if name in ("sendingWorker", "audit") else 1}
            for name in ("identity", "subscribers", "consent", "audit", "sending", "sendingWorker", "returns", "gateway")
        },
        "returns": {"enabled": True, "host": "returns.example.com", "tlsSecret": "starttls"},
        "networkPolicy": {"gatewayFrom": [{"namespaceSelector": {}}]},
    }
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    done = charts.helm("template", RELEASE, str(CHART), "--namespace", NAMESPACE, "-f", str(file))
    assert done.returncode == 0, done.stderr
    shown = DevelopmentCA(tmp_path / "world").identity("returns")
    mesh = ChartedMesh(
        tmp_path / "pods",
        RenderedChart(done.stdout),
        {
            ("mongodb", "url"): local_mongodb.url,
            ("s3", "access-key-id"): os.environ["AWS_ACCESS_KEY_ID"],
            ("s3", "secret-access-key"): os.environ["AWS_SECRET_ACCESS_KEY"],
            ("starttls", "tls.crt"): shown.certificate.decode(),
            ("starttls", "tls.key"): shown.key.decode(),
        },
    )
    inbox = Program(tmp_path, "inbox")
    inbox.start([sys.executable, "-m", "postlaw_mesh", "inbox", "--smtp-port", str(smtp), "--port", str(pages)])
    try:
        inbox.wait(lambda: answers(pages), START_S)
        await asyncio.to_thread(mesh.once, "bucket")
        await asyncio.to_thread(mesh.start)
        yield mesh, pages
    finally:
        await asyncio.to_thread(mesh.stop)
        inbox.stop()
        await kms.stop()


@promise("M6", "S2", "S5")
async def test_what_the_chart_starts_is_the_mesh_and_whoever_says_stop_to_it_gets_no_mail(charted_mesh: tuple[ChartedMesh, int]) -> None:
    mesh, inbox = charted_mesh
    assert {pod.name: pod.ends for pod in mesh.pods if pod.ends} == {}  # in whatever order they come to empty backing services

    tested: dict[str, str] = await asyncio.to_thread(mesh.once, "test")  # what `helm test` runs
    assert tested.keys() == {"gateway", "mesh"}
    assert len(tested["mesh"].splitlines()) == 16  # every partition

    def greeted() -> bool:
        [returns] = mesh.of("returns")
        with smtplib.SMTP(returns.address, returns.port("smtp"), timeout=10) as session:
            session.ehlo()
            return session.has_extn("starttls")

    assert await asyncio.to_thread(greeted)

    made: dict[str, Any] = json.loads((await asyncio.to_thread(mesh.once, "operator", "credentials", "--json"))["operator"])
    [gateway] = mesh.of("gateway")
    ready = {"gateway": f"http://{gateway.address}:{gateway.port('http')}", "inbox": f"http://127.0.0.1:{inbox}", **made}
    result = await journey(ready, PEOPLE, OPT_OUTS, quiet=True, stopped_share=STOPPED_SHARE, patience_s=PATIENCE_S)  # LawBroken
    assert int(result["totals"]["sent"]) > 0
    assert result["verdict"]["opt_outs"] == OPT_OUTS
    assert [pod.name for pod in mesh.of("sending-worker") if not pod.program.logged("partitions_taken")] == []

    checked = await asyncio.to_thread(mesh.once, "operator", "audit", "verify", "--json")
    assert json.loads(checked["operator"])["valid"]

    print(json.dumps({pod.name: _peak_mib(pod.program.pid) for pod in mesh.pods}))
    assert await asyncio.to_thread(mesh.stop) == []  # each ends within the time that the chart gives it


def _peak_mib(pid: int | None) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("VmHWM"))
