"""What watches the mesh: alerts and dashboard ask only for what the code measures, and behind every alert stands a runbook."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from postlaw_common.testing.promises import promise

CHECKOUT = Path(__file__).resolve().parents[1]
OBSERVABILITY = CHECKOUT / "deploy" / "observability"
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((OBSERVABILITY / "alerts.yaml").read_text(encoding="utf-8"))["groups"] for rule in group["rules"]
]
MAKERS = {"create_counter", "create_up_down_counter", "create_histogram", "Gauge"}
UNITS = {"s": "_seconds", "ms": "_milliseconds", "By": "_bytes"}
OURS = ("postlaw_", "rpc_", "http_", "messaging_", "db_")
PROMETHEUS_OWN = {"up"}


def declared() -> Iterator[tuple[str, str, str]]:
    """(maker, name, unit) of every instrument in the code."""
    for folder in ("libs", "services"):
        for path in (CHECKOUT / folder).rglob("*.py"):
            if "contracts" in path.parts or "tests" in path.parts:
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not isinstance(node, ast.Call) or not node.args:
                    continue
                maker = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if maker in MAKERS and isinstance(node.args[0], ast.Constant):
                    units = [k.value for k in node.keywords if k.arg == "unit"] or node.args[1:2]
                    yield maker, str(node.args[0].value), str(units[0].value) if units and isinstance(units[0], ast.Constant) else ""


def shown() -> set[str]:
    """Their names as the collector shows them to Prometheus."""
    names: set[str] = set()
    for maker, name, unit in declared():
        base = name.replace(".", "_") + UNITS.get(unit, "")
        ends = {"create_counter": ["_total"], "create_histogram": ["_bucket", "_count", "_sum"]}.get(maker, [""])
        names |= {base + end for end in ends}
    return names


def asked(expression: str) -> set[str]:
    """The metrics that an expression names: identifiers, but for labels (in braces, and after by, without, on)."""
    bare = re.sub(r"\{[^}]*\}", "", expression)
    bare = re.sub(r"\b(by|without|on|ignoring)\s*\([^)]*\)", "", bare)
    return {name for name in re.findall(r"\b[a-z_]+\b", bare) if name.startswith(OURS)}


def expressions() -> list[str]:
    dashboard = json.loads((OBSERVABILITY / "grafana" / "postlaw.json").read_text(encoding="utf-8"))
    return [rule["expr"] for rule in RULES] + [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


@promise("S6")
def test_alerts_and_dashboard_ask_only_for_what_the_code_measures() -> None:
    wanted = {name for expression in expressions() for name in asked(expression)}
    assert wanted - shown() == set()
    assert {name for e in expressions() if not asked(e) for name in re.findall(r"^[a-z_]+", e)} <= PROMETHEUS_OWN


@promise("S6")
def test_every_figure_of_ours_is_looked_at_somewhere() -> None:
    wanted = {name for expression in expressions() for name in asked(expression)}
    unseen = {
        name for _, name, unit in declared() if not any(one.startswith(name.replace(".", "_") + UNITS.get(unit, "")) for one in wanted)
    }
    assert unseen == set()


@promise("S6")
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_behind_every_alert_stands_a_runbook(rule: dict[str, Any]) -> None:
    assert rule["annotations"]["summary"]
    assert rule["labels"]["severity"] in ("page", "ticket")
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    text = (CHECKOUT / page).read_text(encoding="utf-8")
    sections = {title.lower(): body for title, body in re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)}
    assert anchor == rule["alert"].lower()
    for step in ("*Look", "do:*" if "*Look and do:*" in sections[anchor] else "*Do:*", "*Over*"):
        assert step in sections[anchor], step


def test_no_runbook_is_left_of_an_alert_that_is_gone() -> None:
    text = (CHECKOUT / "docs" / "runbooks.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^## (\w+)$", text, re.MULTILINE)) == {rule["alert"] for rule in RULES}


def test_figures_have_units_and_names_of_one_form() -> None:
    for maker, name, unit in declared():
        assert re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", name), name
        assert unit, name
        assert unit in UNITS or re.fullmatch(r"\{[a-z]+\}", unit), name
        if not name.startswith("postlaw."):  # OpenTelemetry's own
            assert maker == "create_histogram", name
