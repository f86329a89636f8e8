"""A mesh of separate processes on real Kafka and a MongoDB-wire server, whose parts tests kill, pause and cut off.

Three processes serve: `people` (identity, subscribers), `door` (consent, audit, gateway) and `sending` (its API, planner and
projection). Workers come and go as a test asks. Mail goes to an outside sink on a port that stays the same.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from bench.sinks import Sink, sink
from postlaw_common.free_ports import free_port
from postlaw_common.testing.backing.kafka import LocalKafka
from postlaw_common.testing.backing.processes import Program
from tests.faults.cut import Cut

HERE = Path(__file__).parent
CHECKOUT = HERE.parent.parent
PARTITIONS = 8
START_S = 180.0  # only so that a program which never starts, or never ends, fails the test
SERVED = {"people": ("identity", "subscribers"), "door": ("consent", "audit", "gateway"), "sending": ("sending",)}


class FaultMesh:
    """`store_of_sending` and `store_of_others` lead to one server; each can be cut by itself."""

    def __init__(self, home: Path, broker: LocalKafka, mongodb_url: str) -> None:
        self.home = home
        self.broker = broker
        self.relay_port = free_port()
        self.workers: list[Worker] = []
        address, _, options = mongodb_url.partition("?")
        host, _, port = address.removeprefix("mongodb://").rstrip("/").rpartition(":")
        self.store_of_sending, self.store_of_others = Cut(host, int(port)), Cut(host, int(port))
        self._store_options = options
        self._ports = {name: free_port() for name in ("identity", "subscribers", "consent", "audit", "sending", "gateway")}
        self._programs: dict[str, Program] = {}
        self._count = 0
        self._told_before = 0  # of what sending's log says, in characters: by tests before

    @property
    def gateway(self) -> str:
        return f"http://127.0.0.1:{self._ports['gateway']}"

    def environment(self, store: Cut) -> dict[str, str]:
        grpc = {name: str(port) for name, port in self._ports.items() if name != "gateway"}
        return {
            "POSTLAW_BUS": self.broker.url,
            "POSTLAW_STORE": f"mongodb://127.0.0.1:{store.port}/?{self._store_options}",
            "POSTLAW_STATE": str(self.home / "state"),
            "POSTLAW_PARTITIONS": str(PARTITIONS),
            "POSTLAW_PUBLIC_URL": self.gateway.replace("127.0.0.1", "localhost"),
            "POSTLAW_HTTP_PORT_GATEWAY": str(self._ports["gateway"]),
            "POSTLAW_GATEWAY_RATE_PER_SECOND": "2000",
            "POSTLAW_GATEWAY_RATE_BURST": "4000",
            "POSTLAW_GATEWAY_SIGN_UPS_A_MINUTE": "2000",
            **{f"POSTLAW_GRPC_PORT_{name.upper()}": port for name, port in grpc.items()},
            **{f"POSTLAW_PEER_{name.upper()}": f"127.0.0.1:{port}" for name, port in grpc.items()},
        }

    def serve(self, name: str, **faults: str) -> None:
        """Starts `people`, `door`, `sending` or one service alone, and waits until it is ready. `faults`: see services_process.py."""
        health = free_port()
        store = self.store_of_sending if name == "sending" else self.store_of_others
        environment = {**self.environment(store), "POSTLAW_HEALTH_PORT": str(health), "POSTLAW_SENDING_ROLE": "api,planner"}
        environment |= {"POSTLAW_SENDING_UNVERIFIED_DOMAINS": "allow", **faults}
        program = self._programs.setdefault(name, Program(self.home, name))
        program.start([sys.executable, str(HERE / "services_process.py"), *SERVED.get(name, (name,))], env=environment)
        program.wait(lambda: _ready(f"http://127.0.0.1:{health}/readyz"), START_S)

    def take_away(self, name: str) -> None:
        self._programs[name].stop(signal.SIGKILL)

    def credentials(self) -> str:
        """An API key of the one customer."""
        return self.command("credentials")["api_key"]

    def command(self, *words: str) -> dict[str, Any]:
        """What `postlaw … --json` says."""
        command = [sys.executable, "-m", "postlaw_mesh", *words, "--json"]
        done = subprocess.run(
            command, env={**bare(), **self.environment(self.store_of_others)}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr or done.stdout
        return json.loads(done.stdout)

    def worker(self, *, connections: int = 2, die_at: str = "") -> Worker:
        """One more worker. `connections`: of its own to the relay."""
        self._count += 1
        made = Worker(self, f"worker-{self._count}", connections, die_at)
        self.workers.append(made)
        return made

    @contextmanager
    def sink(self, *options: str) -> Generator[Sink]:
        """The outside receiver of all mail, on the port that workers know."""
        with sink("--smtp", f"127.0.0.1:{self.relay_port}", *options) as outside:
            yield outside

    @property
    def saw_a_lost_worker(self) -> bool:
        """Whether a lease ended of a worker that runs or ran in this test: on a busy machine one may stand still for three seconds though
        nobody paused it, and then the law is that what it had under way is not known."""
        asked = self._programs["sending"].log.read_text(errors="replace")[self._told_before :]
        return "holder_lost" in asked or any(worker.program.logged("partitions_of_lost_workers") for worker in self.workers)

    def start(self) -> None:
        for name in SERVED:
            self.serve(name)

    def stop_workers(self) -> None:
        for worker in self.workers:
            worker.end()
        self.workers.clear()
        if (asked := self._programs.get("sending")) is not None:
            self._told_before = len(asked.log.read_text(errors="replace"))

    def stop_serving(self) -> None:
        self.stop_workers()
        for program in reversed(self._programs.values()):
            program.stop(signal.SIGTERM, seconds=20)

    def stop(self) -> None:
        self.stop_serving()
        for store in (self.store_of_sending, self.store_of_others):
            store.close()


class Worker:
    """`python -m postlaw_sending` with the role worker, wrapped so that it can be told where to die."""

    def __init__(self, mesh: FaultMesh, name: str, connections: int, die_at: str) -> None:
        self.program = Program(mesh.home, name)
        self._environment = {
            **mesh.environment(mesh.store_of_sending),
            "POSTLAW_SENDING_ROLE": "worker",
            "POSTLAW_SENDING_RELAY_HOST": "127.0.0.1",
            "POSTLAW_SENDING_RELAY_PORT": str(mesh.relay_port),
            "POSTLAW_SENDING_RELAY_TLS": "none",
            "POSTLAW_SENDING_RELAY_CONNECTIONS": str(connections),
            "FAULTS_DIE_AT": die_at,
        }
        self.start()

    def start(self) -> None:
        self.program.start([sys.executable, "-m", "tests.faults.worker_process"], env=self._environment, cwd=CHECKOUT)

    @property
    def alive(self) -> bool:
        return self.program.pid is not None

    def kill(self) -> None:
        self.program.stop(signal.SIGKILL)

    def pause(self) -> None:
        self.program.send(signal.SIGSTOP)

    def resume(self) -> None:
        self.program.send(signal.SIGCONT)

    def leave(self) -> None:
        """In order: it finishes what is under way and hands its partitions back."""
        self.program.send(signal.SIGTERM)

    def end(self) -> None:
        self.resume()
        self.program.stop(signal.SIGTERM, seconds=25)

    async def holds(self) -> None:
        """Returns once it has taken partitions."""
        async with asyncio.timeout(START_S):
            while not self.program.logged("partitions_taken"):
                await asyncio.sleep(0.05)

    async def gone(self, within_s: float = START_S) -> None:
        """Returns once it has ended, killed or in order: not by a failure of its own."""
        async with asyncio.timeout(within_s):
            while self.alive:
                await asyncio.sleep(0.05)
        assert not self.program.logged("postlaw-sending: ")


def bare() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("POSTLAW_")}


def _ready(url: str) -> bool:
    try:
        return httpx.get(url, timeout=1).status_code == 200
    except httpx.HTTPError:
        return False
