"""deploy/helm/postlaw: what holds of everything that it makes, for each set of values in its `ci`. No cluster is asked: see its README.

More than three hundred lines, since a law of the chart is a few lines, and they are read as one list.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from postlaw.audit.v1 import audit_pb2
from postlaw.consent.v1 import consent_pb2
from postlaw.identity.v1 import identity_pb2
from postlaw.sending.v1 import sending_pb2
from postlaw.subscribers.v1 import subscribers_pb2
from postlaw_common.rpc.method_table import policies_of
from postlaw_common.rpc.tls import SPIFFE_PREFIX, host_name
from postlaw_common.settings import load
from postlaw_common.testing.chart_tools import ChartTools
from postlaw_common.testing.promises import promise
from postlaw_gateway.app import PUBLIC, TRACKED
from postlaw_gateway.reported import REPORTS
from postlaw_mesh.certificates import SERVICES as CERTIFIED
from postlaw_mesh.run_command import SERVICES as RUNNABLE
from tools.rendered_chart import CHART, CUSTOM, NAMESPACE, RELEASE, RenderedChart, Workload, environment, selects
from tools.service_settings import BY_SERVICE, MODELS, variables

CHECKOUT = CHART.parents[2]
VALUES = sorted(CHART.glob("ci/*-values.yaml"))
OLDEST, NEWEST = "1.31", "1.37"
MESH = 9443
CALLED = {
    "identity": identity_pb2.DESCRIPTOR,
    "subscribers": subscribers_pb2.DESCRIPTOR,
    "consent": consent_pb2.DESCRIPTOR,
    "sending": sending_pb2.DESCRIPTOR,
    "audit": audit_pb2.DESCRIPTOR,
}
RECONCILED = {"audit", "consent", "sending"}  # each serves the reconciler as well, which audit.proto declares
NOT_IN_A_CLASS = {"POSTLAW_KAFKA_USERNAME", "POSTLAW_KAFKA_PASSWORD"}  # read by kafka_connection.py itself
SECRET = (
    {name for name, secret, _ in variables() if secret} | NOT_IN_A_CLASS | {"POSTLAW_STORE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
)

_rendered: dict[tuple[str, ...], RenderedChart] = {}


def render(charts: ChartTools, values: Path, *options: str) -> RenderedChart:
    key = (str(values), *options)
    if key not in _rendered:
        done = charts.helm("template", RELEASE, str(CHART), "--namespace", NAMESPACE, "-f", str(values), *options)
        assert done.returncode == 0, done.stderr
        _rendered[key] = RenderedChart(done.stdout)
    return _rendered[key]


@pytest.fixture(params=VALUES, ids=lambda file: file.name.removesuffix("-values.yaml"))
def chart(request: pytest.FixtureRequest, charts: ChartTools) -> RenderedChart:
    return render(charts, request.param)


@pytest.fixture
def smallest(charts: ChartTools) -> RenderedChart:
    return render(charts, CHART / "ci" / "smallest-values.yaml")


@pytest.fixture
def everything(charts: ChartTools) -> RenderedChart:
    return render(charts, CHART / "ci" / "everything-values.yaml")


def ours(chart: RenderedChart) -> Iterator[tuple[Workload, dict[str, Any]]]:
    for workload in chart.workloads():
        for container in workload.containers:
            if workload.ours:
                yield workload, container


@pytest.mark.parametrize("values", VALUES, ids=lambda file: file.name)
def test_helm_finds_nothing_to_say_against_it(charts: ChartTools, values: Path) -> None:
    done = charts.helm("lint", "--strict", str(CHART), "-f", str(values))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_every_object_is_what_kubernetes_own_schemas_say(charts: ChartTools, chart: RenderedChart, version: str) -> None:
    said = charts.kubeconform(chart.manifests, version, skip=CUSTOM)
    assert [one for one in said.get("resources", ()) if one["status"] not in ("statusValid", "statusSkipped")] == []
    assert said["summary"]["valid"] == len([one for one in chart.objects if one["kind"] not in CUSTOM])


def test_every_custom_resource_is_what_its_makers_types_say(charts: ChartTools, chart: RenderedChart) -> None:
    assert charts.strictly(chart.manifests) == {kind: len(chart.of(kind)) for kind in CUSTOM if chart.of(kind)}


def test_the_chart_asks_for_the_oldest_kubernetes_that_it_is_held_against() -> None:
    assert yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))["kubeVersion"] == f">={OLDEST}.0-0"


def test_names_and_labels_are_ones_that_kubernetes_takes_under_the_longest_name_of_a_release(charts: ChartTools) -> None:
    release = "r" * 53  # Helm's own limit
    done = charts.helm("template", release, str(CHART), "-f", str(CHART / "ci" / "everything-values.yaml"))
    chart = RenderedChart(done.stdout)
    names = [(one["kind"], one["metadata"]["name"]) for one in chart.objects]
    assert len(set(names)) == len(names)
    assert [name for _, name in names if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name)] == []
    for labels in [one["metadata"]["labels"] for one in chart.objects] + [dict(one.labels) for one in chart.workloads()]:
        assert [v for v in labels.values() if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", v)] == []
    for workload in chart.workloads():
        for container in workload.containers:
            assert [port for port in container.get("ports", ()) if len(port["name"]) > 15] == []


@promise("S2")
def test_no_container_is_root_or_may_become_it_or_writes_to_its_image(chart: RenderedChart) -> None:
    for workload in chart.workloads():
        pod = workload.spec["securityContext"]
        assert pod["runAsNonRoot"] is True
        assert (pod["runAsUser"], pod["runAsGroup"], pod["fsGroup"]) == (10001, 10001, 10001)
        assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & workload.spec.keys()
        assert not [volume for volume in workload.spec["volumes"] if "hostPath" in volume]
        for container in workload.containers:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            for port in container.get("ports", ()):
                assert port["containerPort"] >= 1024
                assert "hostPort" not in port


@promise("S2")
def test_no_pod_gets_a_token_of_the_cluster(chart: RenderedChart) -> None:
    accounts = {one["metadata"]["name"]: one for one in chart.of("ServiceAccount")}
    for workload in chart.workloads():
        assert workload.spec["automountServiceAccountToken"] is False
        assert accounts[workload.spec["serviceAccountName"]]["automountServiceAccountToken"] is False
    assert not [one for one in chart.objects if one["kind"] in ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")]


def test_kubernetes_own_variables_are_kept_out_since_they_would_be_read_as_settings(chart: RenderedChart) -> None:
    assert {workload.spec["enableServiceLinks"] for workload in chart.workloads()} == {False}


def test_every_container_says_what_it_needs_and_has_a_limit_of_memory(chart: RenderedChart) -> None:
    for workload in chart.workloads():
        for container in workload.containers:
            assert container["resources"]["requests"].keys() >= {"cpu", "memory"}, container["name"]
            assert "memory" in container["resources"]["limits"], container["name"]


def test_whatever_goes_on_running_is_asked_whether_it_is_well(chart: RenderedChart) -> None:
    for workload in chart.workloads():
        for container in workload.containers if workload.lives else ():
            named = {port["name"] for port in container.get("ports", ())}
            probes = {name: container[name] for name in ("livenessProbe", "readinessProbe")}
            for probe in probes.values():
                assert "exec" in probe or probe["httpGet"]["port"] in named
            if workload.ours and workload.component != "operator":
                assert [probe["httpGet"]["path"] for probe in probes.values()] == ["/livez", "/readyz"]
                assert container["startupProbe"]["httpGet"]["path"] == "/livez"


@promise("S2")
def test_no_secret_is_made_and_none_is_in_a_value(chart: RenderedChart) -> None:
    assert chart.of("Secret") == []
    for _, container in ours(chart):
        for name, value in environment(container).items():
            assert isinstance(value, tuple) == (name in SECRET), name
            assert not (isinstance(value, str) and re.search(r"//[^/]*@", value)), name


def test_every_setting_is_one_that_a_service_reads(chart: RenderedChart) -> None:
    known = {variable for variable, _, _ in variables()} | NOT_IN_A_CLASS
    for _, container in ours(chart):
        for variable in environment(container):
            if variable.startswith("POSTLAW_"):
                start = next((f"{prefix}_" for prefix in BY_SERVICE if variable.startswith(prefix)), None)
                assert variable in known if start is None else variable.removeprefix(start).lower() in RUNNABLE, variable


def test_the_settings_are_ones_that_a_start_accepts(chart: RenderedChart, monkeypatch: pytest.MonkeyPatch) -> None:
    for _, container in ours(chart):
        with monkeypatch.context() as patch:
            for variable in [v for v in os.environ if v.startswith("POSTLAW_")]:
                patch.delenv(variable)
            for variable, value in environment(container).items():
                patch.setenv(variable, "mongodb://secret" if variable == "POSTLAW_STORE" else str(value))
            for model in MODELS:
                load(model)


def test_requests_of_cpu_put_whoever_answers_a_person_who_says_stop_before_the_rest(chart: RenderedChart) -> None:
    asked = {
        name: int(chart.component(name).containers[0]["resources"]["requests"]["cpu"].removesuffix("m"))
        for name in (*RUNNABLE, "sending-planner", "sending-worker")
    }
    assert min(asked[name] for name in ("gateway", "consent", "sending")) >= 2 * max(
        asked[name] for name in ("sending-planner", "sending-worker", "subscribers", "audit")
    )


def test_a_service_gets_what_compose_gives_it_but_for_what_is_told_here(smallest: RenderedChart) -> None:
    composed = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    of_development = {"POSTLAW_SENDING_UNVERIFIED_DOMAINS", "POSTLAW_GATEWAY_RATE_PER_SECOND", "POSTLAW_GATEWAY_RATE_BURST"}
    elsewhere = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "POSTLAW_OTLP_ENDPOINT"}  # the pods' own role; watching it is off
    of_a_cluster = {"POSTLAW_UNREADY_S", "POSTLAW_DRAIN_S"}
    for name in (*RUNNABLE, "sending-planner", "sending-worker"):
        [container] = smallest.component(name).containers
        assert container["args"] == composed[name]["command"]
        assert environment(container).keys() - of_a_cluster == composed[name]["environment"].keys() - of_development - elsewhere, name


def test_every_service_of_the_mesh_runs_and_sending_in_each_of_its_roles(everything: RenderedChart) -> None:
    run = [(c["args"][1], environment(c).get("POSTLAW_SENDING_ROLE")) for _, c in ours(everything) if c.get("args", [""])[0] == "run"]
    expected = [(service, None) for service in RUNNABLE if service != "sending"] + [
        ("sending", role) for role in ("api", "planner", "worker", "returns")
    ]
    assert sorted(map(str, run)) == sorted(map(str, expected))


def listens(container: dict[str, Any]) -> set[int]:
    """The ports that this environment makes the code listen to."""
    ports = {int(str(v)) for k, v in environment(container).items() if k.startswith((*BY_SERVICE[:2], "POSTLAW_HEALTH_PORT"))}
    inbound = environment(container).get("POSTLAW_SENDING_INBOUND")
    return ports | ({int(str(inbound).rpartition(":")[2])} if inbound else set())


def test_every_service_leads_to_pods_that_listen_there(chart: RenderedChart) -> None:
    for service in chart.of("Service"):
        behind = chart.behind(service["metadata"]["name"])
        assert behind, service["metadata"]["name"]
        for workload in behind:
            [container] = workload.containers
            ports = {port["name"]: port["containerPort"] for port in container["ports"]}
            for port in service["spec"]["ports"]:
                assert port["name"] == port["targetPort"]
                assert not workload.ours or ports[port["targetPort"]] in listens(container)
    for workload, container in ours(chart):
        if workload.lives and workload.component != "operator":
            assert {port["containerPort"] for port in container["ports"]} == listens(container), workload.component


def test_every_peer_is_a_headless_service_of_that_certificates_pods(chart: RenderedChart) -> None:
    for workload, container in ours(chart):
        peers = {k: str(v) for k, v in environment(container).items() if k.startswith("POSTLAW_PEER_")}
        assert workload.component == "bucket" or container["name"] == "gateway" or len(peers) == len(CALLED), workload.component
        for variable, address in peers.items():
            service = variable.removeprefix("POSTLAW_PEER_").lower()
            name, port = address.removeprefix("dns:///").split(":")
            assert address.startswith("dns:///")  # all the pods' addresses, asked again when one breaks
            assert chart.named("Service", name)["spec"]["clusterIP"] == "None"
            assert {found.labels["postlaw.example/service"] for found in chart.behind(name)} == {service}
            assert int(port) == MESH


def callers_of(service: str) -> set[str]:
    """By the contracts' own table: what the door lets in."""
    found: set[str] = set()
    for name, described in CALLED[service].services_by_name.items():
        if name != "ReconcilerService":
            found |= {caller for policy in policies_of(described.full_name).values() for caller in policy.callers}
    if service in RECONCILED:
        reconciler = audit_pb2.DESCRIPTOR.services_by_name["ReconcilerService"].full_name
        found |= {caller for policy in policies_of(reconciler).values() for caller in policy.callers}
    return found - {service}


@promise("S2")
@pytest.mark.parametrize("name", ["smallest", "everything"])
def test_the_network_lets_through_whom_the_contracts_let_call_and_nobody_else(charts: ChartTools, name: str) -> None:
    chart = render(charts, CHART / "ci" / f"{name}-values.yaml")
    for source in chart.workloads():
        for target in chart.workloads():
            if source.ours and target.lives and source is not target:
                may = source.labels.get("postlaw.example/service") in callers_of(target.component) if target.component in CALLED else False
                if source.component == "test":
                    may = target.component == "sending"
                assert chart.allows(source.labels, target.labels, MESH) == may, (source.component, target.component)
                assert not chart.allows(source.labels, target.labels, 9000)


@promise("S2")
def test_the_network_is_closed_to_every_pod_and_from_every_pod_unless_something_opens_it(everything: RenderedChart) -> None:
    [closed] = [one for one in everything.of("NetworkPolicy") if not ({"ingress", "egress"} & one["spec"].keys())]
    assert closed["spec"]["policyTypes"] == ["Ingress", "Egress"]
    for workload in everything.workloads():
        assert selects(closed["spec"]["podSelector"], workload.labels)
    strangers = {"app.kubernetes.io/name": "another"}
    for workload in everything.workloads():
        for port in (8080, MESH, 9000):
            assert not everything.allows(strangers, workload.labels, port)
    assert everything.allows(strangers, everything.component("returns").labels, 2525)  # the world's mail servers


def test_helm_tests_pod_reaches_the_door(chart: RenderedChart) -> None:
    assert chart.allows(chart.component("test").labels, chart.component("gateway").labels, 8080)


@promise("S2")
@pytest.mark.parametrize(("name", "mail"), [("smallest", {587}), ("everything", {25})])
def test_out_of_the_cluster_goes_what_a_component_needs_and_mail_from_workers_alone(charts: ChartTools, name: str, mail: set[int]) -> None:
    chart = render(charts, CHART / "ci" / f"{name}-values.yaml")
    backing = {53, 9093, 27017, 443}
    for workload in chart.workloads():
        if workload.lives and workload.ours:
            [own] = [
                one["spec"]
                for one in chart.of("NetworkPolicy")
                if selects(one["spec"]["podSelector"], workload.labels) and "egress" in one["spec"]
            ]
            out = {port["port"] for rule in own["egress"] for port in rule["ports"]} - {9092, MESH, 4317}
            assert out == backing | (mail if workload.component == "sending-worker" else set()), workload.component


@promise("S2", "X1")
def test_every_certificate_is_one_that_the_mesh_believes_and_each_pod_has_its_own(charts: ChartTools, smallest: RenderedChart) -> None:
    leaves = {one["spec"]["commonName"]: one["spec"] for one in smallest.of("Certificate") if not one["spec"].get("isCA")}
    assert leaves.keys() == set(CERTIFIED)
    for service, spec in leaves.items():
        assert spec["uris"] == [SPIFFE_PREFIX + service]
        assert host_name(service) in spec["dnsNames"]
        assert {"server auth", "client auth"} <= set(spec["usages"])
        assert spec["privateKey"]["rotationPolicy"] == "Always"
    for chart in (smallest, render(charts, CHART / "ci" / "own-certificates-values.yaml")):
        for workload, _ in ours(chart):
            if workload.component != "bucket":
                [mounted] = [v["secret"]["secretName"] for v in workload.spec["volumes"] if v["name"] == "certificate"]
                service = workload.labels["postlaw.example/service"]
                assert mounted == (leaves[service]["secretName"] if chart is smallest else f"mesh-{service}")


@promise("S5")
def test_a_pod_has_time_to_finish_and_a_node_can_be_drained(chart: RenderedChart) -> None:
    for workload, container in ours(chart):
        if workload.lives:
            given = environment(container)
            needed = float(str(given["POSTLAW_UNREADY_S"])) + float(str(given["POSTLAW_DRAIN_S"])) + 10
            assert workload.spec["terminationGracePeriodSeconds"] == needed
            budgets = [one for one in chart.of("PodDisruptionBudget") if selects(one["spec"]["selector"], workload.labels)]
            assert [one["spec"]["maxUnavailable"] for one in budgets] == ([] if workload.component == "operator" else [1])


@promise("S5")
def test_nothing_but_the_operators_shell_stands_alone(smallest: RenderedChart) -> None:
    replicas = {one["metadata"]["name"]: one["spec"]["replicas"] for one in smallest.of("Deployment")}
    assert replicas.pop("postlaw-operator") == 0
    assert min(replicas.values()) >= 2
    for workload in smallest.workloads():
        if workload.lives:
            assert {one["topologyKey"] for one in workload.spec["topologySpreadConstraints"]} == {
                "topology.kubernetes.io/zone",
                "kubernetes.io/hostname",
            }
            for one in workload.spec["topologySpreadConstraints"]:
                assert selects(one["labelSelector"], workload.labels)


def test_workers_are_restarted_one_after_the_other_and_one_alone_is_replaced_before_it_goes(
    charts: ChartTools, smallest: RenderedChart
) -> None:
    def rolling(chart: RenderedChart) -> dict[str, int]:
        return chart.named("Deployment", "postlaw-sending-worker")["spec"]["strategy"]["rollingUpdate"]

    assert rolling(smallest) == {"maxUnavailable": 1, "maxSurge": 0}
    assert rolling(render(charts, CHART / "ci" / "own-certificates-values.yaml")) == {"maxUnavailable": 0, "maxSurge": 1}


@promise("S5")
def test_what_scales_by_itself_has_no_fixed_number_and_no_more_workers_than_partitions(
    charts: ChartTools, everything: RenderedChart
) -> None:
    for scaler in everything.of("HorizontalPodAutoscaler"):
        assert "replicas" not in everything.named("Deployment", scaler["spec"]["scaleTargetRef"]["name"])["spec"]
    refused = charts.helm(
        "template",
        str(CHART),
        "-f",
        str(CHART / "ci" / "everything-values.yaml"),
        "--set",
        "services.sendingWorker.autoscaling.maxReplicas=33",
    )
    assert "33 workers for 32 partitions" in refused.stderr


def tags(chart: RenderedChart) -> dict[str, str]:
    return {w.component: w.containers[0]["image"].rpartition(":")[2] for w in chart.workloads() if w.lives and w.ours}


def test_an_upgrade_by_stages_takes_readers_before_writers(charts: ChartTools) -> None:
    values = CHART / "ci" / "smallest-values.yaml"
    seen: list[set[str]] = []
    stages = ["identity", "sendingWorker", "returns", "sending", "audit", "consent", "subscribers", "gateway"]
    for stage in stages:
        options = ("--set", f"image.tag=2.0.0,upgrade.previousTag=1.0.0,upgrade.through={stage}")
        seen.append({component for component, tag in tags(render(charts, values, *options)).items() if tag == "2.0.0"})
    assert seen[0] == {"identity", "operator"}
    assert seen[1] - seen[0] == {"sending-worker"}  # before the API, whose jobs they read
    assert all(before <= after for before, after in itertools.pairwise(seen))
    assert seen[-1] - seen[-2] == {"gateway"}
    waves = {
        one["metadata"]["name"]: int(one["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"])
        for one in render(charts, values, "--set", "upgrade.syncWaves=true").of("Deployment")
    }
    assert waves["postlaw-identity"] < waves["postlaw-sending-worker"] < waves["postlaw-sending"] < waves["postlaw-gateway"]


def test_a_number_arrives_as_it_was_written(everything: RenderedChart) -> None:
    given = environment(everything.component("subscribers").containers[0])
    assert given["POSTLAW_SUBSCRIBERS_UPLOAD_MAX_BYTES"] == "8589934592"
    assert environment(everything.component("consent").containers[0])["POSTLAW_CONSENT_ANSWER_WITHIN_S"] == "7.5"
    assert environment(everything.component("audit").containers[0])["POSTLAW_AUDIT_ENTRIES_ARE_PUBLIC"] == "true"


def test_a_setting_goes_to_the_services_that_read_it_and_to_the_operators_shell(everything: RenderedChart) -> None:
    for workload, container in ours(everything):
        given = environment(container)
        service = workload.labels.get("postlaw.example/service")
        for variable in given:
            owner = next((one for one in RUNNABLE if variable.startswith(f"POSTLAW_{one.upper()}_")), service)
            assert service in (owner, "operator"), (workload.component, variable)
        if workload.lives:
            assert given["POSTLAW_LOG_LEVEL"] == "debug"
    mx = {w.component for w, c in ours(everything) if environment(c).get("POSTLAW_SENDING_MX_CONNECTIONS") == "400"}
    assert mx == {"sending-worker"}  # one component's own settings are its alone


@promise("M5")
def test_the_door_that_is_open_to_the_world_is_the_one_that_links_in_mail_lead_to(
    everything: RenderedChart, smallest: RenderedChart
) -> None:
    [ingress] = everything.of("Ingress")
    rules = {rule["host"]: {path["path"] for path in rule["http"]["paths"]} for rule in ingress["spec"]["rules"]}
    public = {*PUBLIC, *TRACKED, REPORTS}
    assert rules == {"mail.example.com": public, "links.customer.example": set(TRACKED)}
    assert {host for tls in ingress["spec"]["tls"] for host in tls["hosts"]} == rules.keys()
    [route] = everything.of("HTTPRoute")
    assert {match["path"]["value"] for rule in route["spec"]["rules"] for match in rule["matches"]} == public
    assert smallest.of("Ingress") + smallest.of("HTTPRoute") == []


@promise("S6")
def test_alerts_and_dashboard_are_those_of_the_repository(everything: RenderedChart) -> None:
    observability = CHECKOUT / "deploy" / "observability"
    [rule] = everything.of("PrometheusRule")
    assert rule["spec"] == yaml.safe_load((observability / "alerts.yaml").read_text(encoding="utf-8"))
    dashboard = everything.named("ConfigMap", "postlaw-dashboard")["data"]["postlaw.json"]
    assert dashboard.strip() == (observability / "grafana" / "postlaw.json").read_text(encoding="utf-8").strip()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("publicUrl=", "publicUrl is empty"),
        ("publicUrl=http://mail.example.com", "/publicUrl"),
        ("bus.url=", "bus.url is empty"),
        ("bus.url=kafka://user:password@kafka:9093", "/bus/url"),
        ("store.existingSecret=", "store.existingSecret is empty"),
        ("blobs.url=", "blobs.url is empty"),
        ("keys.url=file:", "/keys/url"),
        ("settings.POSTLAW_SENDING_RELAY_HOST=", "/settings/POSTLAW_SENDING_RELAY_HOST"),
        ("settings.POSTLAW_SENDING_RELAY_HOTS=relay", "POSTLAW_SENDING_RELAY_HOTS"),
        ("settings.POSTLAW_SENDING_RELAY_PORT=70000", "/settings/POSTLAW_SENDING_RELAY_PORT"),
        ("settings.POSTLAW_SENDING_OPINION_KEY=sk-1", "POSTLAW_SENDING_OPINION_KEY"),
        ("settings.POSTLAW_BUS=kafka://kafka:9092", "POSTLAW_BUS"),
        ("extraEnv[0].name=POSTLAW_BUS", "give it under settings"),
        ("networkPolicy.gatewayFrom=null", "networkPolicy.gatewayFrom is empty"),
        ("certificates.mode=existing", "certificates.existing"),
        ("returns.enabled=true", "returns.host is empty"),
        ("services.sendingWorker.replicas=65", "65 workers for 64 partitions"),
        ("services.gateway.resources.limits=null", "/services/gateway/resources"),
        ("httpRoute.enabled=true", "httpRoute.parents is empty"),
        ("upgrade.through=worker", "/upgrade/through"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_is_installed_and_said(charts: ChartTools, given: str, said: str) -> None:
    done = charts.helm("template", RELEASE, str(CHART), "-f", str(CHART / "ci" / "smallest-values.yaml"), "--set", given)
    assert done.returncode != 0
    assert said in done.stderr


def test_mail_must_lead_somewhere(charts: ChartTools, tmp_path: Path) -> None:
    given = yaml.safe_load((CHART / "ci" / "smallest-values.yaml").read_text(encoding="utf-8"))
    del given["settings"]
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(given), encoding="utf-8")
    done = charts.helm("template", str(CHART), "-f", str(tmp_path / "values.yaml"))
    assert "settings.POSTLAW_SENDING_RELAY_HOST is missing" in done.stderr


def test_the_chart_and_the_program_are_one_release() -> None:
    described = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    project = (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8")
    assert described["appVersion"] in re.findall(r'^version = "(.*)"$', project, re.MULTILINE)


def test_the_package_holds_what_lies_outside_the_chart(charts: ChartTools, tmp_path: Path) -> None:
    assert charts.helm("package", str(CHART), "--destination", str(tmp_path)).returncode == 0
    [package] = tmp_path.glob("postlaw-*.tgz")
    from_package = charts.helm("template", RELEASE, str(package), "-n", NAMESPACE, "-f", str(CHART / "ci" / "everything-values.yaml"))
    from_folder = charts.helm("template", RELEASE, str(CHART), "-n", NAMESPACE, "-f", str(CHART / "ci" / "everything-values.yaml"))
    assert from_package.stdout == from_folder.stdout
    assert "PartitionHalted" in from_package.stdout  # of alerts.yaml, which is a link here
