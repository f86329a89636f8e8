"""The adapters, a row each. The suites beside this file name none of them: `new_bus()` opens the row's own, as often as asked.

Opened again within a test, it is the same installation: what was written before is there.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pymongo import AsyncMongoClient

from postlaw_common.blobs import Blobs, open_blobs
from postlaw_common.bus import Bus, Topic, open_bus
from postlaw_common.keys import RootKey, open_root_key
from postlaw_common.store import CollectionSpec, Document, Store, open_store
from postlaw_common.store.mongodb import split_url
from postlaw_common.testing.kms_fake import KmsFake
from postlaw_common.testing.plugin import BACKING

# fixture: its rows, each with the backing service that it needs
ROWS: dict[str, list[tuple[str, str | None]]] = {
    "new_bus": [("embedded:", None), ("kafka", "kafka")],
    "new_store": [("sqlite:", None), ("mongodb", "mongodb"), ("mongodb, packed", "mongodb")],
    "new_blobs": [("file:", None), ("s3", "s3")],
    "new_root_key": [("file:", None), ("awskms", None)],
}

PARTITIONS = 4


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    backing = metafunc.config.stash[BACKING]
    for fixture, rows in ROWS.items():
        if fixture in metafunc.fixturenames:
            present = [row for row, service in rows if service is None or backing.available(service)]
            metafunc.parametrize(fixture, present, indirect=True, ids=[row.rstrip(":") for row in present])


@pytest.fixture
def topic() -> str:
    """A topic's name that no other test has."""
    return f"postlaw.contract.{uuid.uuid4().hex}.v1"


@pytest.fixture
async def new_bus(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Callable[[], Awaitable[Bus]]]:
    url: str = request.getfixturevalue("backing").url("kafka") if request.param == "kafka" else request.param
    opened: list[Bus] = []

    async def new() -> Bus:
        bus = open_bus(url, state=str(tmp_path), partitions=PARTITIONS)
        await bus.start()
        opened.append(bus)
        return bus

    yield new
    for bus in opened:
        await bus.close()


@pytest.fixture
async def bus(new_bus: Callable[[], Awaitable[Bus]], topic: str) -> Bus:
    """Started, with `topic` in it."""
    bus = await new_bus()
    await bus.ensure_topics([Topic(topic)])
    return bus


@pytest.fixture
async def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[Store]]]:
    server, _, packed = request.param.partition(", ")
    url: str = request.getfixturevalue("backing").url("mongodb") if server == "mongodb" else server
    database = f"contract_{uuid.uuid4().hex[:16]}"
    opened: list[Store] = []

    async def new(*collections: CollectionSpec) -> Store:
        store = open_store(url, database, state=str(tmp_path))
        opened.append(store)
        await store.start([replace(spec, packed=bool(packed)) for spec in collections])
        return store

    yield new
    for store in opened:
        await store.close()
    if server == "mongodb":  # the server of tests looks at every database when it starts
        async with AsyncMongoClient[Document](split_url(url)[0]) as client:
            await client.drop_database(database)


@pytest.fixture
async def new_blobs(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Callable[[], Awaitable[Blobs]]]:
    url: str = request.param
    if request.param == "s3":
        bucket, _, query = str(request.getfixturevalue("backing").url("s3")).partition("?")
        url = f"{bucket}/contract-{uuid.uuid4().hex}?{query}"
    opened: list[Blobs] = []

    async def new() -> Blobs:
        blobs = open_blobs(url, state=str(tmp_path))
        await blobs.start()
        opened.append(blobs)
        return blobs

    yield new
    for blobs in opened:
        await blobs.close()


@pytest.fixture
async def blobs(new_blobs: Callable[[], Awaitable[Blobs]]) -> Blobs:
    return await new_blobs()


@pytest.fixture
async def new_root_key(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[[], Awaitable[RootKey]]]:
    url: str = request.param
    fake = KmsFake()
    if request.param == "awskms":
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        url = f"awskms:{fake.key_id}?region=eu-central-1&endpoint={await fake.start()}"
    opened: list[RootKey] = []

    async def new() -> RootKey:
        root = open_root_key(url, state=str(tmp_path))
        await root.start()
        opened.append(root)
        return root

    yield new
    for root in opened:
        await root.close()
    await fake.stop()
