"""Which backing services a test run uses, and how it gets them.

Each of Kafka, a MongoDB-wire server and S3 comes from its POSTLAW_TEST_* URL, else from Docker where an engine answers, else from
local processes where they are installed (`deploy/backing/backing.py install`), else its rows are left out and the run says so.
With POSTLAW_TEST_REQUIRE=all a run that lacks one fails. Nothing is started before a test asks for it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from postlaw_common.testing.backing.local import SERVICES, LocalBacking
from postlaw_common.testing.backing.processes import BackingFailed

if TYPE_CHECKING:
    from postlaw_common.testing.backing.docker import DockerBacking

__all__ = ["SERVICES", "Backing", "BackingFailed", "Source"]


@dataclass(frozen=True, slots=True)
class Source:
    """Where one service comes from: `kind` is url, docker, local or none; `words` tell a person."""

    kind: str
    words: str


class Backing:
    def __init__(self, checkout: Path) -> None:
        self.local = LocalBacking(checkout)
        self._sources: dict[str, Source] = {}
        self._docker: DockerBacking | None = None
        required = os.environ.get("POSTLAW_TEST_REQUIRE", "")
        if required not in ("", "all"):
            raise BackingFailed(f"POSTLAW_TEST_REQUIRE is {required!r}; it must be 'all' or unset")
        for service in SERVICES:
            self._sources[service] = self._find(service)
        self.required = bool(required)
        missing = [service for service in SERVICES if not self.available(service)]
        if required and missing:
            self.local.install(tuple(missing))
            self._sources |= {service: self._find(service) for service in missing}

    def _find(self, service: str) -> Source:
        if url := os.environ.get(f"POSTLAW_TEST_{service.upper()}"):
            return Source("url", f"POSTLAW_TEST_{service.upper()}={url.rpartition('@')[2]}")
        if _docker_answers():
            return Source("docker", "a container")
        if self.local.installed(service):
            return Source("local", "a local process")
        return Source("none", "left out: no URL, no Docker engine, not installed (python deploy/backing/backing.py install)")

    def available(self, service: str) -> bool:
        return self._sources[service].kind != "none"

    def header(self) -> list[str]:
        return [f"backing {service}: {self._sources[service].words}" for service in SERVICES]

    def url(self, service: str) -> str:
        """The service's URL as `open_bus`, `open_store` and `open_blobs` take it; started on first use. Raises BackingFailed."""
        kind = self._sources[service].kind
        if kind == "url":
            return os.environ[f"POSTLAW_TEST_{service.upper()}"]
        if kind == "docker":
            if self._docker is None:
                from postlaw_common.testing.backing.docker import DockerBacking

                self._docker = DockerBacking()
            return self._docker.url(service)
        if kind == "local":
            self.local.start((service,))
            env = self.local.env()
            os.environ.update({name: value for name, value in env.items() if name.startswith("AWS_")})
            return env[f"POSTLAW_TEST_{service.upper()}"]
        raise BackingFailed(f"{service} is not available: {self._sources[service].words}")

    def close(self) -> None:
        if self._docker is not None:
            self._docker.close()
        self.local.release()


def _docker_answers() -> bool:
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if host.startswith("unix://") and not Path(host.removeprefix("unix://")).is_socket():
        return False
    import docker  # a third of a second, so only where an engine is likely
    from docker.errors import DockerException

    try:
        client = docker.from_env(timeout=3)
        try:
            return bool(client.ping())
        finally:
            client.close()
    except DockerException:
        return False
