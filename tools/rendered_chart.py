"""What `helm template` made of the chart, as objects: for the tests that hold it to its laws, and for those that start it as processes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).resolve().parents[1] / "deploy" / "helm" / "postlaw"
RELEASE, NAMESPACE = "postlaw", "mail"
CUSTOM = ("Certificate", "Issuer", "PrometheusRule", "ServiceMonitor", "HTTPRoute")

Labels = Mapping[str, str]
SecretKey = tuple[str, str]
"""The name of a Secret, and a key in it."""


@dataclass(frozen=True, slots=True)
class Workload:
    """A pod as some object makes it. `spec` is the pod's; `made_by` the object."""

    made_by: Mapping[str, Any]
    labels: Labels
    spec: Mapping[str, Any]

    @property
    def component(self) -> str:
        return self.labels["app.kubernetes.io/component"]

    @property
    def containers(self) -> list[dict[str, Any]]:
        return [*self.spec.get("initContainers", ()), *self.spec["containers"]]

    @property
    def lives(self) -> bool:
        """It runs until it is stopped."""
        return self.made_by["kind"] == "Deployment"

    @property
    def ours(self) -> bool:
        return self.component != "collector"


def environment(container: Mapping[str, Any]) -> dict[str, str | SecretKey]:
    """A value, or where it comes from."""
    found: dict[str, str | SecretKey] = {}
    for variable in container.get("env", ()):
        assert variable["name"] not in found, f"{variable['name']} is given twice"
        if "value" in variable:
            found[variable["name"]] = variable["value"]
        else:
            secret = variable["valueFrom"]["secretKeyRef"]
            found[variable["name"]] = (secret["name"], secret["key"])
    return found


def selects(selector: Mapping[str, Any], labels: Labels) -> bool:
    """As Kubernetes reads a label selector, or a Service's bare one."""
    if not ({"matchLabels", "matchExpressions"} & selector.keys()):
        return all(labels.get(key) == value for key, value in selector.items())
    wanted: Labels = selector.get("matchLabels", {})
    for expression in selector.get("matchExpressions", ()):
        assert expression["operator"] == "In", expression
        if labels.get(expression["key"]) not in expression["values"]:
            return False
    return all(labels.get(key) == value for key, value in wanted.items())


class RenderedChart:
    def __init__(self, manifests: str) -> None:
        self.manifests = manifests
        self.objects: list[dict[str, Any]] = [document for document in yaml.safe_load_all(manifests) if document]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [found for found in self.objects if found["kind"] == kind]

    def named(self, kind: str, name: str) -> dict[str, Any]:
        [found] = [one for one in self.of(kind) if one["metadata"]["name"] == name]
        return found

    def workloads(self) -> Iterator[Workload]:
        for made in self.objects:
            if made["kind"] == "Pod":
                yield Workload(made, made["metadata"]["labels"], made["spec"])
            elif "template" in made.get("spec", {}):
                yield Workload(made, made["spec"]["template"]["metadata"]["labels"], made["spec"]["template"]["spec"])

    def component(self, name: str) -> Workload:
        [found] = [one for one in self.workloads() if one.component == name]
        return found

    def behind(self, service: str) -> list[Workload]:
        """The pods that a Service leads to."""
        selector = self.named("Service", service)["spec"]["selector"]
        return [one for one in self.workloads() if selects(selector, one.labels)]

    def allows(self, source: Labels, target: Labels, port: int) -> bool:
        """Whether the network lets a pod of this release call another, as NetworkPolicies add up."""
        return self._opens("Ingress", target, source, port) and self._opens("Egress", source, target, port)

    def _opens(self, direction: str, whose: Labels, other: Labels, port: int) -> bool:
        policies = [
            one["spec"]
            for one in self.of("NetworkPolicy")
            if direction in one["spec"]["policyTypes"] and selects(one["spec"]["podSelector"], whose)
        ]
        side = "from" if direction == "Ingress" else "to"
        rules: list[Mapping[str, Any]] = [rule for policy in policies for rule in policy.get(direction.lower(), ())]
        return not policies or any(
            port in [one["port"] for one in rule["ports"]]
            and (side not in rule or any("podSelector" in peer and selects(peer["podSelector"], other) for peer in rule[side]))
            for rule in rules
        )
