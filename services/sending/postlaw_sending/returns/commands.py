"""`postlaw bounce`: what mail that came back says."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from postlaw_sending.returns.classify import classify
from postlaw_sending.returns.reading import LARGEST
from postlaw_sending.returns.returned import Returned


@click.group()
def bounce() -> None:
    """Bounces, complaints and automatic replies.

    \b
    Example:
      postlaw bounce classify returned.eml
    Exit codes: 0 done, 1 a file cannot be read, 2 wrong usage.
    """


@bounce.command("classify")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object a mail.")
def classify_command(paths: tuple[Path, ...], as_json: bool) -> None:
    """Says of each mail what it is (dsn, arf, auto-reply, none), and of each recipient in it whether the address is no good (hard), it only
    did not go this time (soft), somebody complained (complaint), or nothing went wrong (none). Folders are read whole.

    \b
    Example:
      postlaw bounce classify returned.eml --json
    Exit codes: 0 done, 1 a file cannot be read, 2 wrong usage.
    """
    unreadable = False
    for file in _files(paths):
        try:
            with file.open("rb") as opened:
                returned = classify(opened.read(LARGEST))
        except OSError as wrong:
            unreadable = True
            click.echo(f"{file}: {wrong.strerror or wrong}", err=True)
        else:
            _show(file, returned, as_json)
    sys.exit(1 if unreadable else 0)


def _files(paths: tuple[Path, ...]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(file for file in path.rglob("*") if file.is_file())
        else:
            yield path


def _show(file: Path, returned: Returned, as_json: bool) -> None:
    recipients = [{"recipient": one.recipient, "action": one.action, "status": one.status, "class": one.cls} for one in returned.recipients]
    if as_json:
        click.echo(json.dumps({"file": str(file), "kind": returned.kind, "recipients": recipients}, ensure_ascii=False))
        return
    click.echo(f"{file}: {returned.kind}")
    for one in recipients:
        click.echo(f"  {one['class']}: {one['recipient'] or 'somebody'} {one['action'] or ''} {one['status'] or ''}".rstrip())
