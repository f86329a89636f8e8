"""The three backing services as local processes in `.backing/`, shared by whoever runs tests in this checkout.

Several test runs may use them at once: each holds a shared lock, and the last one to end stops what the first one started,
unless `backing.py start` left them running on purpose.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from postlaw_common.testing.backing import kafka, mongodb_wire, s3
from postlaw_common.testing.backing.kafka import LocalKafka
from postlaw_common.testing.backing.mongodb_wire import LocalMongoWire
from postlaw_common.testing.backing.s3 import LocalS3

SERVICES = ("kafka", "mongodb", "s3")


class LocalBacking:
    """`checkout` is the repository's root: recipes in deploy/backing, everything made in .backing (git-ignored)."""

    def __init__(self, checkout: Path) -> None:
        self._recipes = checkout / "deploy" / "backing"
        self.home = checkout / ".backing"
        self.bin = self.home / "bin"
        self.kafka_libs = self.home / "kafka" / "libs"
        self.kafka = LocalKafka(self.home / "run" / "kafka", self.kafka_libs)
        self.mongodb = LocalMongoWire(self.home / "run" / "mongodb", self.bin)
        self.s3 = LocalS3(self.home / "run" / "s3", self.bin)
        self._users: IO[str] | None = None

    def install(self, services: tuple[str, ...] = SERVICES) -> None:
        """Raises BackingFailed, naming what the machine lacks."""
        steps: dict[str, Callable[[], None]] = {
            "kafka": lambda: kafka.install(self._recipes / "kafka", self.kafka_libs),
            "mongodb": lambda: mongodb_wire.install(self._recipes / "mongodb-wire", self.bin),
            "s3": lambda: s3.install(self.bin),
        }
        for service in services:
            steps[service]()

    def installed(self, service: str) -> bool:
        if service == "kafka":
            return kafka.installed(self.kafka_libs)
        return mongodb_wire.installed(self.bin) if service == "mongodb" else s3.installed(self.bin)

    def running(self, service: str) -> bool:
        return self._service(service).program.pid is not None

    def _service(self, service: str) -> LocalKafka | LocalMongoWire | LocalS3:
        return {"kafka": self.kafka, "mongodb": self.mongodb, "s3": self.s3}[service]

    @contextmanager
    def _lock(self, name: str) -> Generator[None, None, None]:
        self.home.mkdir(exist_ok=True)
        with (self.home / name).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def start(self, services: tuple[str, ...] = SERVICES, *, keep: bool = False) -> None:
        """Starts those that do not run. `keep`: they run until `stop`, not just until the last test run has ended."""
        with self._lock("start.lock"):
            if keep:
                (self.home / "keep").touch()
            elif self._users is None:
                self._users = (self.home / "users.lock").open("w")
                fcntl.flock(self._users, fcntl.LOCK_SH)
            waiting = [service for service in services if not self.running(service)]
            with ThreadPoolExecutor(len(SERVICES)) as pool:
                list(pool.map(lambda service: self._service(service).start(), waiting))
            self._write_env()

    def _write_env(self) -> None:
        env = self.home / "env"
        env.touch(mode=0o600)
        env.write_text("".join(f"{name}={value}\n" for name, value in self.env().items()))

    def env(self) -> dict[str, str]:
        """The POSTLAW_TEST_* URLs of what runs, and the credentials that go with them."""
        found: dict[str, str] = {}
        for service in SERVICES:
            if self.running(service):
                found[f"POSTLAW_TEST_{service.upper()}"] = self._service(service).url
        return found | (self.s3.credentials if self.running("s3") else {})

    def release(self) -> None:
        """A test run has ended: stops everything where nobody else uses it."""
        if self._users is None:
            return
        with self._lock("start.lock"):
            users, self._users = self._users, None
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            finally:
                users.close()
            if not (self.home / "keep").exists():
                self._stop()

    def stop(self) -> None:
        with self._lock("start.lock"):
            (self.home / "keep").unlink(missing_ok=True)
            self._stop()

    def _stop(self) -> None:
        with ThreadPoolExecutor(len(SERVICES)) as pool:
            list(pool.map(lambda service: self._service(service).stop(), SERVICES))
        (self.home / "env").unlink(missing_ok=True)
