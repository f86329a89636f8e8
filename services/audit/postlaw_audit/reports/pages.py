"""A report as a page: one template each on a common frame, without scripts or anything from elsewhere, so that it also prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minijinja import Environment

from postlaw_audit.reports.charts import FOOT, HEIGHT, WIDTH, chart_of
from postlaw_audit.reports.kinds.kind import Line, at
from postlaw_audit.reports.report import Report

MOST_NAMED = 200  # entries that cannot be decoded; report.json names all
_FILES = Path(__file__).with_name("templates")


def _loaded(name: str) -> str:
    return (_FILES / name).read_text(encoding="utf-8")


_templates = Environment(loader=_loaded)  # escapes whatever goes into *.html


@dataclass(frozen=True, slots=True)
class Shown:
    """Lines with their numbers, from 1. `all` empty: there are too many for a page."""

    all: list[tuple[int, Line]]
    sample: list[tuple[int, Line]]


def page_of(
    report: Report,
    shown: Shown,
    cells: Mapping[tuple[str, str], int],
    undecodable: Sequence[int],
    proofs: Sequence[dict[str, Any]],
) -> str:
    """`undecodable`: indexes of entries."""
    return _templates.render_template(
        f"{report.kind}.html",
        report=report,
        kind=report.of_kind,
        query=report.query,
        standing=report.standing,
        unwitnessed=not report.witnesses,
        checkpoint=report.checkpoint,
        root=report.checkpoint.root.hex(),
        period=f"{'from the beginning' if report.of_kind.from_beginning else at(report.since_us)} until {at(report.until_us)}",
        made=at(report.finished_us),
        requested=at(report.requested_us),
        shown=shown,
        numbers=[number for number, _ in shown.sample],
        chart=chart_of(cells),
        size={"width": WIDTH, "height": HEIGHT, "foot": FOOT},
        proofs=proofs,
        undecodable=list(undecodable[:MOST_NAMED]),
        further=max(0, len(undecodable) - MOST_NAMED),
    )
