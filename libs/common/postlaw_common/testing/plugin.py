"""The pytest plugin of this repository: services, a browser and a mail server by fixture, and a header that says which ones the run uses.

A test that asks for one of the fixtures below runs where its service is available; elsewhere it is deselected, and the header has
said why. With POSTLAW_TEST_REQUIRE=all a missing service stops the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from postlaw_common.testing import browser, chart_tools, log_verifiers, postfix, telemetry_memory
from postlaw_common.testing.backing import Backing, BackingFailed
from postlaw_common.testing.backing.kafka import LocalKafka
from postlaw_common.testing.backing.mongodb_wire import LocalMongoWire

BACKING = pytest.StashKey[Backing]()
NEEDS = {"kafka_url": "kafka", "mongodb_url": "mongodb", "s3_url": "s3"}
LOCAL_NEEDS = {
    "local_kafka": "kafka",
    "local_mongodb": "mongodb",
    "breakable_kafka": "kafka",
    "breakable_mongodb": "mongodb",
}  # processes of the tests' own, to be killed


def pytest_configure(config: pytest.Config) -> None:
    telemetry_memory.install()
    try:
        config.stash[BACKING] = Backing(config.rootpath)
    except BackingFailed as failure:
        raise pytest.UsageError(str(failure)) from failure
    if config.stash[BACKING].required and not browser.chromium():
        raise pytest.UsageError(browser.header())
    if config.stash[BACKING].required and not postfix.postfix_program():
        raise pytest.UsageError(postfix.header())
    if config.stash[BACKING].required and not log_verifiers.installed(config.rootpath):
        raise pytest.UsageError(log_verifiers.header(config.rootpath))
    if config.stash[BACKING].required and not chart_tools.installed(config.rootpath):
        raise pytest.UsageError(chart_tools.header(config.rootpath))


def pytest_unconfigure(config: pytest.Config) -> None:
    if BACKING in config.stash:
        config.stash[BACKING].close()


def pytest_report_header(config: pytest.Config) -> list[str]:
    root = config.rootpath
    return [*config.stash[BACKING].header(), browser.header(), postfix.header(), log_verifiers.header(root), chart_tools.header(root)]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    backing = config.stash[BACKING]
    lacking = {name for name, service in NEEDS.items() if not backing.available(service)}
    lacking |= {name for name, service in LOCAL_NEEDS.items() if not backing.local.installed(service)}
    if not browser.chromium():
        lacking.add("chromium")
    if not postfix.postfix_program():
        lacking.add("postfix_to")
    if not log_verifiers.installed(config.rootpath):
        lacking.add("other_verifiers")
    if not chart_tools.installed(config.rootpath):
        lacking.add("charts")
    left_out = [item for item in items if lacking.intersection(getattr(item, "fixturenames", ()))]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture
def telemetry() -> Iterator[telemetry_memory.TelemetryMemory]:
    """Telemetry is on for this test, and read from memory. Ask for it first: what is made before it does not know."""
    with telemetry_memory.reading() as memory:
        yield memory


@pytest.fixture(scope="session")
def backing(pytestconfig: pytest.Config) -> Backing:
    return pytestconfig.stash[BACKING]


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser's program."""
    return browser.chromium()


@pytest.fixture(scope="session")
def postfix_to() -> Callable[..., AbstractContextManager[int]]:
    """See postfix.py."""
    return postfix.postfix_to


@pytest.fixture(scope="session")
def other_verifiers(pytestconfig: pytest.Config) -> log_verifiers.LogVerifiers:
    """See log_verifiers.py."""
    return log_verifiers.LogVerifiers(pytestconfig.rootpath)


@pytest.fixture(scope="session")
def charts(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> chart_tools.ChartTools:
    """See chart_tools.py."""
    return chart_tools.ChartTools(pytestconfig.rootpath, tmp_path_factory.mktemp("charts"))


@pytest.fixture(scope="session")
def kafka_url(backing: Backing) -> str:
    """For `open_bus`. Topics outlive a test: give each its own names."""
    return backing.url("kafka")


@pytest.fixture(scope="session")
def mongodb_url(backing: Backing) -> str:
    """For `open_store`. Databases outlive a test: give each its own names."""
    return backing.url("mongodb")


@pytest.fixture(scope="session")
def s3_url(backing: Backing) -> str:
    """For `open_blobs`, with its credentials in the environment. Objects outlive a test: give each its own prefix."""
    return backing.url("s3")


@pytest.fixture
def local_kafka(backing: Backing, tmp_path: Path) -> Iterator[Callable[[], LocalKafka]]:
    """Makes brokers that belong to this test alone, started, to be stopped, killed and started again as it likes."""
    made: list[LocalKafka] = []

    def make() -> LocalKafka:
        broker = LocalKafka(tmp_path / f"kafka-{len(made)}", backing.local.kafka_libs)
        made.append(broker)
        broker.start()
        return broker

    yield make
    for broker in made:
        broker.kill()


@pytest.fixture
def local_mongodb(backing: Backing, tmp_path: Path) -> Iterator[LocalMongoWire]:
    """A MongoDB-wire server that belongs to this test alone, started."""
    server = LocalMongoWire(tmp_path / "mongodb", backing.local.bin)
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def breakable_kafka(backing: Backing, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    """One broker, started, for tests that share an installation and break it one after the other. Leave it running."""
    broker = LocalKafka(tmp_path_factory.mktemp("kafka"), backing.local.kafka_libs)
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture(scope="session")
def breakable_mongodb(backing: Backing, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalMongoWire]:
    """As `breakable_kafka`: a MongoDB-wire server."""
    server = LocalMongoWire(tmp_path_factory.mktemp("mongodb"), backing.local.bin)
    server.start()
    yield server
    server.remove()
