"""The mesh in processes of its own for a measurement, one a service: on Kafka, a MongoDB-wire server and S3, or on Kafka alone."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench.parts import Parts
from postlaw_common.blobs import open_blobs
from postlaw_common.bus import open_bus
from postlaw_common.store import open_store
from postlaw_common.testing.backing.kafka import LocalKafka
from postlaw_common.testing.backing.local import LocalBacking
from postlaw_common.testing.backing.mongodb_wire import LocalMongoWire
from tools.composed_mesh import CHECKOUT, ComposedMesh

IN_MEMORY = Path("/dev/shm")


@contextmanager
def real_backing(home: Path) -> Generator[dict[str, str]]:
    """URLs of fresh backing services; installed first where they are not yet. Stopped at the end."""
    local = LocalBacking(CHECKOUT)
    local.install()
    with ExitStack() as stack:
        local.start(("s3",))
        stack.callback(local.release)
        env = local.env()
        os.environ.update({name: value for name, value in env.items() if name.startswith("AWS_")})
        bucket, _, endpoint = env["POSTLAW_TEST_S3"].partition("?")
        kafka = LocalKafka(home / "kafka", local.kafka_libs)
        kafka.start()
        stack.callback(kafka.kill)
        mongodb = LocalMongoWire(home / "mongodb", local.bin)
        mongodb.start()
        stack.callback(mongodb.remove)
        yield {
            "POSTLAW_BUS": kafka.url,
            "POSTLAW_STORE": mongodb.url,
            "POSTLAW_BLOBS": f"{bucket}/bench-{secrets.token_hex(4)}?{endpoint}",
            "AWS_ACCESS_KEY_ID": os.environ["AWS_ACCESS_KEY_ID"],
            "AWS_SECRET_ACCESS_KEY": os.environ["AWS_SECRET_ACCESS_KEY"],
        }


@contextmanager
def kafka_backing(home: Path) -> Generator[dict[str, str]]:
    """Kafka, and the embedded store and blobs in place of other people's servers: files that all processes share, in memory where there is
    such a place, since what a disk takes for a write is no part of what is measured, and processes would wait for each other's."""
    local = LocalBacking(CHECKOUT)
    local.install()
    kafka = LocalKafka(home / "kafka", local.kafka_libs)
    with tempfile.TemporaryDirectory(prefix="postlaw-bench-", dir=IN_MEMORY if IN_MEMORY.is_dir() else None) as state:
        kafka.start()
        try:
            yield {"POSTLAW_BUS": kafka.url, "POSTLAW_STORE": "sqlite:", "POSTLAW_BLOBS": "file:", "POSTLAW_STATE": state}
        finally:
            kafka.kill()


BACKINGS = {"kafka": kafka_backing, "real": real_backing}


@contextmanager
def composed_mesh(
    home: Path, backing: Mapping[str, str], relay: str, workers: int | None, settings: Mapping[str, str], *, together: bool = False
) -> Generator[dict[str, Any]]:
    """What `bench.running.mesh` gives; `pid` is the first sending worker's where there is one, `pids` every service's."""
    changed = {"POSTLAW_GATEWAY_RATE_PER_SECOND": "2000", "POSTLAW_GATEWAY_RATE_BURST": "4000", **settings}
    if "POSTLAW_STATE" in backing:
        changed["POSTLAW_STATE"] = backing["POSTLAW_STATE"]
    if relay:
        host, _, port = relay.rpartition(":")
        changed |= {"POSTLAW_SENDING_RELAY_HOST": host, "POSTLAW_SENDING_RELAY_PORT": port}
    mesh = ComposedMesh(home, backing, changed)
    try:
        mesh.start_all(workers, together=together)
        pids = {name: program.pid for name, program in mesh.programs.items()}
        yield {
            **mesh.ready(),
            "pid": pids.get("sending-worker-1"),
            "pids": pids,
            "state": str(home),
            "bus": backing["POSTLAW_BUS"],
            "composed": mesh,
        }
    finally:
        mesh.stop_all()


@contextmanager
def real_parts(home: Path) -> Generator[Parts]:
    with real_backing(home) as backing:
        yield Parts(
            open_bus(backing["POSTLAW_BUS"], state=str(home)),
            open_store(backing["POSTLAW_STORE"], "bench", state=str(home)),
            open_blobs(backing["POSTLAW_BLOBS"], state=str(home)),
        )
