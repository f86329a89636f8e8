"""docker-compose.yml, the image and what watches the mesh: what holds of the files, since not every machine has an engine to run them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from postlaw_common.settings import load
from postlaw_common.testing.backing.processes import Program
from postlaw_mesh.run_command import SERVICES as RUNNABLE
from tools.composed_mesh import SHARES, weigh
from tools.service_settings import BY_SERVICE, MODELS, variables

CHECKOUT = Path(__file__).resolve().parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "postlaw:dev"}
ONE_SHOT = {"bucket", "certificates", "credentials"}


def test_every_service_of_the_mesh_is_composed_and_sending_has_planner_and_workers_beside_its_api() -> None:
    run = [service["command"][1] for service in OURS.values() if service["command"][0] == "run"]
    assert set(run) == set(RUNNABLE)
    roles = [service["environment"]["POSTLAW_SENDING_ROLE"] for service in OURS.values() if service["command"][:2] == ["run", "sending"]]
    assert sorted(roles) == ["api", "planner", "worker"]
    assert OURS["sending-worker"]["deploy"]["replicas"] == 2


def test_whoever_answers_a_person_who_says_stop_weighs_three_times_what_the_rest_does_where_processors_are_short() -> None:
    shares = {name: service.get("cpu_shares", 1024) for name, service in SERVICES.items()}
    assert {shares[name] for name in ("gateway", "consent", "sending", "identity", "kafka", "mongodb")} == {1024}
    assert {shares[name] for name in ("sending-planner", "sending-worker", "subscribers", "audit")} == {341}


def test_a_composed_process_has_its_share_of_a_busy_machine(tmp_path: Path) -> None:
    sleeping = Program(tmp_path, "sleeping")
    sleeping.start(["sleep", "60"])
    weight = Path(f"/proc/{sleeping.pid}/autogroup")
    try:
        weigh(sleeping, SHARES // 3)
        if weight.exists():  # else this kernel weighs all processes the same, and nothing is to be said to it
            assert weight.read_text().split()[-1] == "5"  # sched(7): a weight of 335 beside 1,024
    finally:
        sleeping.stop()


@pytest.mark.parametrize("name", OURS)
def test_our_containers_run_as_nobody_on_a_read_only_root(name: str) -> None:
    service = OURS[name]
    assert service["user"] == "10001:10001"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert "privileged" not in service
    assert "cap_add" not in service


@pytest.mark.parametrize("name", sorted(OURS.keys() - ONE_SHOT))
def test_a_service_starts_when_what_it_needs_is_healthy(name: str) -> None:
    assert "readyz" in OURS[name]["healthcheck"]["test"][-1]
    for needed, gate in OURS[name].get("depends_on", {}).items():
        healthy = "healthcheck" in SERVICES[needed] and not SERVICES[needed]["healthcheck"].get("disable")
        wanted = "service_completed_successfully" if needed in ONE_SHOT else "service_healthy" if healthy else "service_started"
        assert gate["condition"] == wanted, needed


def test_whatever_goes_on_running_is_asked_whether_it_is_well_but_for_the_image_that_holds_nothing_to_ask_with() -> None:
    assert {name for name, service in SERVICES.items() if "healthcheck" not in service} == {"collector"}


@pytest.mark.parametrize("name", OURS)
def test_every_setting_is_one_that_a_service_reads(name: str) -> None:
    known = {variable for variable, _, _ in variables()}
    for variable in OURS[name].get("environment", {}):
        if variable.startswith("POSTLAW_"):
            start = next((f"{prefix}_" for prefix in BY_SERVICE if variable.startswith(prefix)), None)
            assert variable in known if start is None else variable.removeprefix(start).lower() in RUNNABLE, variable


@pytest.mark.parametrize("name", OURS)
def test_the_settings_are_ones_that_a_start_accepts(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [v for v in os.environ if v.startswith("POSTLAW_")]:
        monkeypatch.delenv(variable)
    for variable, value in OURS[name].get("environment", {}).items():
        monkeypatch.setenv(variable, value)
    for model in MODELS:
        load(model)


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_published_on_loopback_alone(name: str) -> None:
    assert [port for port in SERVICES[name].get("ports", ()) if not str(port).startswith("127.0.0.1:")] == []


@pytest.mark.parametrize("name", sorted(OURS.keys() - {"certificates", "bucket", "inbox"}))
def test_a_container_sees_its_own_certificate_and_no_other(name: str) -> None:
    service = OURS[name]
    [mounted] = [volume for volume in service["volumes"] if isinstance(volume, dict) and volume["source"] == "certificates"]
    assert mounted["read_only"] is True
    assert mounted["volume"]["subpath"] == ("operator" if name == "credentials" else service["command"][1])


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_is_pinned_and_none_is_of_a_project_that_has_ended(name: str) -> None:
    image = SERVICES[name]["image"]
    assert re.search(r":(?!latest$)[\w.-]+$", image), image
    assert not re.search(r"minio|bitnami", image)


def test_what_is_mounted_from_the_checkout_is_there() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", ()):
            if isinstance(volume, str) and volume.startswith("./"):
                assert (CHECKOUT / volume.partition(":")[0]).is_file(), volume


def test_the_image_is_no_roots_and_installs_only_what_is_pinned() -> None:
    text = (CHECKOUT / "Dockerfile").read_text(encoding="utf-8")
    final = text[text.rindex("\nFROM ") :]
    assert re.search(r"^USER \d+:\d+$", final, re.MULTILINE)
    assert "pip" not in final
    installs = re.findall(r"pip install (.*)", text)
    assert [line for line in installs if "--require-hashes" not in line and "--no-index" not in line] == []


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-runtime.lock", "requirements-build.lock"])
def test_every_pinned_dependency_has_hashes_and_no_index_is_named(lock: str) -> None:
    text = (CHECKOUT / lock).read_text(encoding="utf-8")
    for entry in re.split(r"\n(?=\w)", text.strip()):
        assert "--hash=sha256:" in entry, entry
    assert not re.search(r"https?://|--index-url|--find-links", text)


def test_the_image_holds_the_very_versions_that_are_tested() -> None:
    def pins(lock: str) -> set[str]:
        return set(re.findall(r"^\S+==\S+", (CHECKOUT / lock).read_text(encoding="utf-8"), re.MULTILINE))

    assert pins("requirements-runtime.lock") <= pins("requirements.lock")
    assert pins("requirements-build.lock") <= pins("requirements.lock")
