"""docker-compose.yml's own services as processes on loopback, over backing services of one's own: for tests and benchmarks."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import yaml

from postlaw_common.free_ports import free_port
from postlaw_common.testing.backing.processes import Program
from postlaw_mesh.run_command import SERVICES

CHECKOUT = Path(__file__).resolve().parents[1]
START_S = 180.0
SHARES = 1024  # of the processors, where the file says nothing


class ComposedMesh:
    """The services of docker-compose.yml that run our image, each started as the file says: command, environment, order.

    Only places differ: host names become loopback ports, volumes directories below `home`. `backing` are the URLs of the backing
    services; `changed` is environment that every service gets instead of the file's."""

    def __init__(self, home: Path, backing: Mapping[str, str], changed: Mapping[str, str] | None = None) -> None:
        self.file: dict[str, Any] = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text(encoding="utf-8"))
        self.home = home
        self.programs: dict[str, Program] = {}
        self._backing = backing
        self._changed = dict(changed or {})
        self._ports: dict[str, int] = {}

    def port(self, place: str) -> int:
        """The loopback port that stands for `service:port`, or for what a service opens at that port."""
        if place not in self._ports:
            self._ports[place] = free_port()
        return self._ports[place]

    def service(self, name: str) -> dict[str, Any]:
        return self.file["services"][name]

    def environment(self, name: str, instance: str = "") -> dict[str, str]:
        """The file's environment of the service, on this machine's places; `instance`: where there are several of it."""
        given: dict[str, str] = {key: str(value) for key, value in self.service(name).get("environment", {}).items()}
        for key, value in given.items():
            if key in self._backing:
                given[key] = self._backing[key]
            elif key.startswith("POSTLAW_PEER_"):
                given[key] = f"127.0.0.1:{self.port(value)}"
            elif key.startswith(("POSTLAW_GRPC_PORT_", "POSTLAW_HTTP_PORT_")) or key == "POSTLAW_HEALTH_PORT":
                given[key] = str(self.port(f"{instance or name}:{value}"))
            elif key.startswith("POSTLAW_TLS_"):
                given[key] = value.replace("/certificates", str(self.home / "certificates" / self._certificate(name)))
        given["POSTLAW_STATE"] = str(self.home / "state")
        given["POSTLAW_LISTEN"] = "127.0.0.1"
        if "POSTLAW_SENDING_RELAY_HOST" in given:
            relay = f"{given['POSTLAW_SENDING_RELAY_HOST']}:{given['POSTLAW_SENDING_RELAY_PORT']}"
            given |= {"POSTLAW_SENDING_RELAY_HOST": "127.0.0.1", "POSTLAW_SENDING_RELAY_PORT": str(self.port(relay))}
        given.pop("POSTLAW_OTLP_ENDPOINT", None)
        return given | self._changed

    def _certificate(self, name: str) -> str:
        mounted = (volume for volume in self.service(name)["volumes"] if isinstance(volume, dict) and volume["source"] == "certificates")
        return str(next(mounted)["volume"]["subpath"])

    def start(self, name: str, instance: str = "") -> None:
        """Starts it and waits until it is ready. Raises BackingFailed with the end of its log."""
        instance = instance or name
        given, words = self.environment(name, instance), self.service(name)["command"]
        if name == "inbox":
            words = [*words[:1], "--smtp-port", str(self.port("inbox:2525")), "--port", str(self.port("inbox:8025"))]
        self._begin(instance, given, words, self.port("inbox:8025") if name == "inbox" else int(given["POSTLAW_HEALTH_PORT"]))
        if shares := self.service(name).get("cpu_shares"):
            weigh(self.programs[instance], shares)

    def _begin(self, instance: str, given: Mapping[str, str], words: Sequence[str], health: int) -> None:
        program = self.programs[instance] = Program(self.home, instance)
        environment = {**{key: value for key, value in os.environ.items() if not key.startswith("POSTLAW_")}, **given}
        program.start(["env", "-i", *(f"{k}={v}" for k, v in environment.items()), sys.executable, "-m", "postlaw_mesh", *words])
        program.wait(lambda: answers(health), START_S)

    def start_together(self, names: Sequence[str]) -> None:
        """These services in one process, with the environment of all of them; it is `together` among the programs."""
        given: dict[str, str] = {}
        for name in names:
            given |= self.environment(name)
        for name in names:
            given.pop(f"POSTLAW_PEER_{name.upper()}", None)  # a service that has an address is called there, over the network
        given["POSTLAW_SENDING_ROLE"] = "api,planner"
        for name in ("POSTLAW_TLS_CERTIFICATE", "POSTLAW_TLS_KEY"):
            given[name] = given[name].replace(f"/{self._certificate(names[-1])}/", "/{service}/")
        self._begin("together", given, ["run", *names], int(given["POSTLAW_HEALTH_PORT"]))

    def once(self, name: str, *words: str) -> str:
        """A one-shot service; what it prints."""
        command = [sys.executable, "-m", "postlaw_mesh", *(words or self.service(name)["command"])]
        done = subprocess.run(command, env={**os.environ, **self.environment(name)}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr or done.stdout
        return done.stdout

    def start_all(self, workers: int | None = None, *, together: bool = False) -> None:
        """In the file's order, each row at once. `workers`: how many, in place of the file's number. `together`: all services but the
        workers in one process."""
        delivering = range(self.service("sending-worker")["deploy"]["replicas"] if workers is None else workers)
        self.once("certificates", "certificates", str(self.home / "certificates"))
        if together:
            self.start("inbox")
            self.start_together(SERVICES)
            self.start_workers(delivering)
            return
        self.start("identity")
        with ThreadPoolExecutor(4) as row:
            list(row.map(self.start, ("inbox", "subscribers", "consent", "audit", "sending", "sending-planner")))
        self.start_workers(delivering, beside=["gateway"])

    def start_workers(self, numbers: Iterable[int], beside: Sequence[str] = ()) -> None:
        """`sending-worker-1` is number 0. Returns when all are ready, and the services that are started beside them."""
        with ThreadPoolExecutor() as row:
            starting = [row.submit(self.start, name) for name in beside]
            starting += [row.submit(self.start, "sending-worker", f"sending-worker-{number + 1}") for number in numbers]
        for started in starting:
            started.result()

    def ready(self) -> dict[str, Any]:
        """What `postlaw dev --json` says of its mesh, of this one."""
        credentials = json.loads(self.once("credentials", "credentials", "--json"))
        gateway = self.port("gateway:" + self.service("gateway")["environment"]["POSTLAW_HTTP_PORT_GATEWAY"])
        return {"gateway": f"http://127.0.0.1:{gateway}", "inbox": f"http://127.0.0.1:{self.port('inbox:8025')}", **credentials}

    def stop_all(self) -> None:
        for program in self.programs.values():
            program.send(signal.SIGTERM)
        for program in self.programs.values():
            program.stop(signal.SIGTERM, seconds=40)


def weigh(program: Program, shares: int) -> None:
    """Gives a program its share of a busy machine, as a container would have it: Linux weighs a session as it weighs a process of that nice
    value (sched(7), "The autogroup feature"). Where it does not, all weigh the same."""
    nice = round(math.log(SHARES / shares, 1.25))
    with suppress(OSError):
        while True:
            try:
                Path(f"/proc/{program.pid}/autogroup").write_text(str(nice))
                return
            except BlockingIOError:  # one change in a tenth of a second, over all sessions, from whoever is not root
                time.sleep(0.1)


def answers(port: int, host: str = "127.0.0.1", path: str = "/readyz") -> bool:
    """Asked every 50 ms beside a start, by a connection alone: a client of httpx reads its certificates anew each time."""
    connection = HTTPConnection(host, port, timeout=1)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
