"""One installation for all fault tests: they break it and must leave it whole."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack

import pytest

from postlaw_common.testing.backing.kafka import LocalKafka
from postlaw_common.testing.backing.mongodb_wire import LocalMongoWire
from postlaw_mesh.rest_client import RestClient, client
from tests.faults.harness import FaultMesh


@pytest.fixture(scope="session")
def fault_mesh(
    breakable_kafka: LocalKafka, breakable_mongodb: LocalMongoWire, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[FaultMesh, str]]:
    """The mesh without workers, and an API key."""
    mesh = FaultMesh(tmp_path_factory.mktemp("faults"), breakable_kafka, breakable_mongodb.url)
    with ExitStack() as stack:
        stack.callback(mesh.stop)
        mesh.start()
        yield mesh, mesh.credentials()


@pytest.fixture
def mesh(fault_mesh: tuple[FaultMesh, str]) -> Iterator[FaultMesh]:
    """Workers end with the test."""
    yield fault_mesh[0]
    fault_mesh[0].stop_workers()


@pytest.fixture
async def api(fault_mesh: tuple[FaultMesh, str]) -> AsyncGenerator[RestClient]:
    async with client(fault_mesh[0].gateway, fault_mesh[1]) as api:
        yield api
