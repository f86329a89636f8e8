"""A mesh of separate processes for each test that asks for one."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from postlaw_common.testing.backing.kafka import LocalKafka
from postlaw_common.testing.backing.mongodb_wire import LocalMongoWire
from tools.composed_mesh import ComposedMesh


@pytest.fixture
def started() -> Callable[[ComposedMesh], None]:
    """How `composed_mesh` is started: a process a service, unless a test says otherwise."""
    return ComposedMesh.start_all


@pytest.fixture
def composed_mesh(
    local_kafka: Callable[[], LocalKafka],
    local_mongodb: LocalMongoWire,
    s3_url: str,
    tmp_path: Path,
    started: Callable[[ComposedMesh], None],
) -> Iterator[ComposedMesh]:
    """Runs until the test ends, on a broker and a database server of its own (topics and databases have fixed names)."""
    bucket, _, endpoint = s3_url.partition("?")
    mesh = ComposedMesh(
        tmp_path,
        {
            "POSTLAW_BUS": local_kafka().url,
            "POSTLAW_STORE": local_mongodb.url,
            "POSTLAW_BLOBS": f"{bucket}/mesh-{secrets.token_hex(4)}?{endpoint}",
            "AWS_ACCESS_KEY_ID": os.environ["AWS_ACCESS_KEY_ID"],
            "AWS_SECRET_ACCESS_KEY": os.environ["AWS_SECRET_ACCESS_KEY"],
        },
        {"POSTLAW_RECONCILE_QUIET_S": "1"},  # what happened before a look began is looked at, but for what the look before it told
    )
    with ExitStack() as stack:
        stack.callback(mesh.stop_all)
        started(mesh)
        yield mesh
