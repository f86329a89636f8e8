"""The pods of the Helm chart as processes on loopback, as `helm template` wrote them: command, environment, files, probes, time to stop.

What Kubernetes and cert-manager would do is done here: each pod has an address of its own (all of 127.0.0.0/8 is loopback), so that every
port is the chart's; a Service's name leads to its first pod; all pods start at once, and one that ends is started again; a Certificate
becomes the Secret that it names. Nothing of this process's own environment reaches a pod but the PATH.
"""

from __future__ import annotations

import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from postlaw_common.rpc.tls import SPIFFE_PREFIX, DevelopmentCA
from postlaw_common.testing.backing.processes import BackingFailed, Program
from tools.composed_mesh import START_S, answers
from tools.rendered_chart import RenderedChart, SecretKey, Workload, environment, selects

SYSTEM = "/usr/local/bin:/usr/bin:/bin"
RESTARTS = 5  # of one pod; Kubernetes would go on, slower and slower


@dataclass
class Pod:
    name: str
    workload: Workload
    container: Mapping[str, Any]
    address: str
    home: Path
    ends: list[str] = field(default_factory=list[str])  # the last line of each start that ended

    def __post_init__(self) -> None:
        self.program = Program(self.home, self.name)

    def port(self, named: str | int) -> int:
        """A container's port by its name."""
        if isinstance(named, int):
            return named
        [found] = [port["containerPort"] for port in self.container["ports"] if port["name"] == named]
        return found

    def ready(self) -> bool:
        probe = self.container["readinessProbe"]["httpGet"]
        return answers(self.port(probe["port"]), self.address, probe["path"])


class ChartedMesh:
    """`given`: what the Secrets hold that the values name."""

    def __init__(self, home: Path, chart: RenderedChart, given: Mapping[SecretKey, str]) -> None:
        self.home, self.chart = home, chart
        self._given = dict(given)
        self._network = f"127.{secrets.randbelow(200) + 20}.{secrets.randbelow(256)}"
        self._addresses = 0
        self._issue()
        self.pods: list[Pod] = [
            self._pod(f"{workload.component}-{number}", workload, workload.containers[0])
            for workload in chart.workloads()
            if workload.lives
            for number in range(workload.made_by["spec"]["replicas"])
        ]

    def _pod(self, name: str, workload: Workload, container: Mapping[str, Any]) -> Pod:
        self._addresses += 1
        home = self.home / name
        home.mkdir(parents=True, exist_ok=True)
        return Pod(name, workload, container, f"{self._network}.{self._addresses}", home)

    def _issue(self) -> None:
        """As cert-manager does."""
        authority = DevelopmentCA(self.home / "authority")
        for certificate in self.chart.of("Certificate"):
            if not certificate["spec"].get("isCA"):
                [name] = certificate["spec"]["uris"]
                identity = authority.identity(name.removeprefix(SPIFFE_PREFIX))
                for key, pem in (("ca.crt", identity.trusted), ("tls.crt", identity.certificate), ("tls.key", identity.key)):
                    self._given[certificate["spec"]["secretName"], key] = pem.decode()

    def _placed(self, pod: Pod, text: str) -> str:
        """On this machine's places: Services' names, the pod's own files, all of its addresses."""
        for mount in pod.container.get("volumeMounts", ()):
            if text.startswith(f"{mount['mountPath']}/") or text == mount["mountPath"]:
                return str(pod.home / mount["name"]) + text.removeprefix(mount["mountPath"])
        called = re.match(r"(dns:///|http://)([a-z-]+)(?::(\d+))?(?=/|$)", text)
        if called and (service := [one for one in self.chart.of("Service") if one["metadata"]["name"] == called[2]]):
            [port] = [one["targetPort"] for one in service[0]["spec"]["ports"] if one["port"] == int(called[3] or 80)]
            first = next(one for one in self.pods if selects(service[0]["spec"]["selector"], one.workload.labels))
            return f"{called[1]}{first.address}:{first.port(port)}{text[called.end() :]}"
        return text.replace("0.0.0.0", pod.address)

    def _environment(self, pod: Pod) -> dict[str, str]:
        found = {"PATH": SYSTEM, "PYTHONDONTWRITEBYTECODE": "1"}
        for name, value in environment(pod.container).items():
            found[name] = self._given[value] if isinstance(value, tuple) else self._placed(pod, value)
        return found

    def _mount(self, pod: Pod) -> None:
        for volume in pod.workload.spec["volumes"]:
            place = pod.home / volume["name"]
            place.mkdir(exist_ok=True, mode=0o700)
            for (name, key), text in self._given.items() if "secret" in volume else ():
                if name == volume["secret"]["secretName"]:
                    (place / key).write_text(text, encoding="utf-8")

    def _command(self, pod: Pod) -> list[str]:
        """The image's entry point is `postlaw`; its `python` is this one."""
        words = [self._placed(pod, word) for word in (*pod.container.get("command", ["postlaw"]), *pod.container.get("args", ()))]
        python = [sys.executable, "-m", "postlaw_mesh"] if words[0] == "postlaw" else [sys.executable]
        return [*python, *words[1:]]

    def start(self) -> None:
        """All at once. Returns when each is ready; raises BackingFailed with the end of its log where one ends again and again."""
        for pod in self.pods:
            self._mount(pod)
            self._begin(pod)
        waiting = list(self.pods)
        deadline = time.monotonic() + START_S
        while waiting := [pod for pod in waiting if not pod.ready()]:
            for pod in waiting:
                if pod.program.pid is None:
                    pod.ends.append((pod.program.log.read_text(errors="replace").splitlines() or [""])[-1])
                    if len(pod.ends) > RESTARTS:
                        raise BackingFailed(f"{pod.name} ended {len(pod.ends)} times; the last time: {pod.ends[-1]}")
                    self._begin(pod)
            if time.monotonic() > deadline:
                raise BackingFailed(f"{', '.join(pod.name for pod in waiting)} not ready within {START_S:.0f} s; see {self.home}")
            time.sleep(0.2)

    def _begin(self, pod: Pod) -> None:
        given = [f"{name}={value}" for name, value in self._environment(pod).items()]
        pod.program.start(["env", "-i", *given, *self._command(pod)])

    def once(self, component: str, *words: str) -> dict[str, str]:
        """Each container of a Job or a test, or `postlaw WORDS…` as in a pod of a Deployment that has none now: what each prints."""
        workload = self.chart.component(component)
        said: dict[str, str] = {}
        for number, container in enumerate(workload.containers):
            pod = self._pod(f"{component}-once-{number}", workload, container)
            self._mount(pod)
            command = [sys.executable, "-m", "postlaw_mesh", *words] if words else self._command(pod)
            done = subprocess.run(command, env=self._environment(pod), capture_output=True, text=True, check=False, timeout=START_S)
            assert done.returncode == 0, f"{component}/{container['name']}: {done.stderr or done.stdout}"
            said[container["name"]] = done.stdout
        return said

    def of(self, component: str) -> list[Pod]:
        return [pod for pod in self.pods if pod.workload.component == component]

    def stop(self, pods: Sequence[Pod] | None = None) -> list[str]:
        """As a node stops pods: SIGTERM, and SIGKILL for those that run on after their time. Returns the latter's names."""
        stopped = self.pods if pods is None else pods
        killed: list[str] = []
        began = time.monotonic()
        for pod in stopped:
            pod.program.send(signal.SIGTERM)
        for pod in stopped:
            while pod.program.pid is not None and time.monotonic() - began < pod.workload.spec["terminationGracePeriodSeconds"]:
                time.sleep(0.05)
            if pod.program.pid is not None:
                killed.append(pod.name)
            pod.program.stop(signal.SIGKILL)
        return killed
