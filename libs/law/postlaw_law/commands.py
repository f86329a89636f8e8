"""`postlaw law`: the law that this release carries, held against cases."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from postlaw_law.case_fields import CaseInvalid
from postlaw_law.checking import Outcome, check
from postlaw_law.loading import read_json, the_law


@click.group()
def law() -> None:
    """The law as data: what it decides.

    \b
    Example:
      postlaw law check decision-vectors.json
    Exit codes: 0 all as expected, 1 at least one differs, 2 none differs and a file cannot be read as cases.
    """


@law.command("check")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object a case, and one at the end.")
def check_command(files: tuple[Path, ...], as_json: bool) -> None:
    """Runs files of decision or clock vectors, and names each that differs with both answers.

    \b
    Example:
      postlaw law check decision-vectors.json clock-vectors.json
    Exit codes: 0 all as expected, 1 at least one differs, 2 none differs, and a file is none of vectors, or a case in it cannot be read.
    """
    differing = unreadable = passed = 0
    for file in files:
        try:
            for outcome in check(read_json(file), the_law()):
                differing += bool(outcome.differs)
                unreadable += outcome.answer is None
                passed += outcome.passed
                _show(file, outcome, as_json)
        except (OSError, ValueError, RecursionError) as wrong:  # the last: brackets in brackets without end
            unreadable += 1
            reason = wrong if isinstance(wrong, CaseInvalid | OSError) else f"not JSON: {wrong}"
            click.echo(json.dumps({"file": str(file), "unreadable": str(reason)}) if as_json else f"{file}: no file of vectors: {reason}")
    if as_json:
        click.echo(json.dumps({"law": the_law().version, "passed": passed, "differ": differing, "unreadable": unreadable}))
    else:
        click.echo(f"{passed} as expected, {differing} differ, {unreadable} cannot be read; law {the_law().version[:12]}")
    sys.exit(1 if differing else 2 if unreadable else 0)


def _show(file: Path, outcome: Outcome, as_json: bool) -> None:
    if as_json:
        state = "passed" if outcome.passed else "differs" if outcome.answer is not None else "unreadable"
        row = {"file": str(file), "id": outcome.id, "state": state, "expected": outcome.expected, "answer": outcome.answer}
        click.echo(json.dumps({**row, "differs": outcome.differs, "wrong": outcome.wrong}))
    elif outcome.answer is None:
        click.echo(f"{file}: {outcome.id} cannot be read: {outcome.wrong}")
    elif outcome.differs:
        click.echo(f"{file}: {outcome.id} differs in {', '.join(outcome.differs)}")
        click.echo(f"  expected {json.dumps(outcome.expected, sort_keys=True)}")
        click.echo(f"  answer   {json.dumps(outcome.answer, sort_keys=True)}")
