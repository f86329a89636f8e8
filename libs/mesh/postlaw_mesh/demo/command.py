"""`postlaw demo`: starts a mesh of its own, does the main job through its public doors, and judges the result."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from postlaw_mesh.demo.journey import LawBroken, journey

PEOPLE, OPT_OUTS = 20_000, 200


class MeshDidNotStart(Exception):
    """The message is the mesh's own line."""


@contextmanager
def mesh_beside_us(state: Path, *options: str, settings: Mapping[str, str] | None = None) -> Generator[dict[str, Any]]:
    """`postlaw dev` as a process of its own, on free ports; what it says when ready. Stopped in order at the end.

    `settings`: environment beyond our own."""
    with (state / "mesh.log").open("wb") as log:
        words = [sys.executable, "-m", "postlaw_mesh", "dev", "--state", str(state), "--port", "0", "--inbox-port", "0", "--json", *options]
        process = subprocess.Popen(  # its words are ours, none is a user's
            words, stdout=subprocess.PIPE, stderr=log, env={**os.environ, **(settings or {})}
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                process.wait()
                raise MeshDidNotStart((state / "mesh.log").read_text(encoding="utf-8").strip().splitlines()[-1])
            yield {**json.loads(line), "pid": process.pid}
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@click.command()
@click.option("--people", default=PEOPLE, show_default=True, type=click.IntRange(100, 1_000_000), help="How many to import and mail.")
@click.option("--opt-outs", default=OPT_OUTS, show_default=True, type=click.IntRange(2, 10_000), help="How many say stop meanwhile.")
@click.option("--state", type=click.Path(path_type=Path), help="Where the installation is kept. Default: a fresh directory.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, without progress bars.")
def demo(people: int, opt_outs: int, state: Path | None, as_json: bool) -> None:
    """Import people, send to them, say stop in mid-flight, prove that it stopped.

    \b
    Example:
      postlaw demo --people 5000
    Exit codes: 0 every law held, 1 a law was broken or the mesh did not start, 2 wrong usage.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # told to end, it ends the mesh beside it as well
    where = state or Path(tempfile.mkdtemp(prefix="postlaw-demo-"))
    try:
        where.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as wrong:
        raise click.ClickException(f"--state is {where}: {wrong.strerror}; give a directory that we can write") from wrong
    try:
        with mesh_beside_us(where) as ready:
            result = asyncio.run(journey(ready, people, opt_outs, quiet=as_json))
    except MeshDidNotStart as why:
        raise click.ClickException(str(why)) from why
    except LawBroken as broken:
        if as_json:
            click.echo(json.dumps(broken.result))
        raise click.ClickException(f"a law was broken: {broken}. The installation is kept in {where}.") from broken
    if as_json:
        click.echo(json.dumps(result))
    else:
        click.echo(f"\nWhere to look next\n  postlaw dev --state {where}     this very installation, its inbox and its API reference")
        click.echo(f"  postlaw audit verify --state {where}     every entry of its log, checked from the files alone")
        click.echo("  docs/adr/   why it is built so;   services/*/README.md   what each part owns")
