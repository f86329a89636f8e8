"""`postlaw audit index`: how far the search index is, and having it made anew."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import click

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw.audit.v1.audit_pb2_grpc import AuditServiceStub
from postlaw_common.errors import PostlawError
from postlaw_common.opening import StartRefused, asked_as_operator
from postlaw_common.rpc.tls import TlsFilesWrong
from postlaw_common.settings import WrongSettings


@click.group()
def index() -> None:
    """The search index, which follows from the log alone.

    \b
    Example:
      postlaw audit index status
    Exit codes: 0 done, 1 audit cannot be asked, 2 wrong usage.
    """


@index.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def status(as_json: bool) -> None:
    """How many entries it knows, of how many there are.

    \b
    Example:
      postlaw audit index status --json
    Exit codes: 0 done, 1 audit cannot be asked, 2 wrong usage.
    """
    found: audit.IndexStatus = _asked(lambda stub: stub.GetIndex(audit.GetIndexRequest()))
    if as_json:
        click.echo(json.dumps({"indexed": found.indexed, "size": found.size, "generation": found.generation}))
    else:
        click.echo(f"{found.indexed} of {found.size} entries, made {found.generation} times")


@index.command()
def rebuild() -> None:
    """Drop it, and have it made anew from the log. Meanwhile searches find what it has come to, and say so.

    \b
    Example:
      postlaw audit index rebuild
    Exit codes: 0 it is being made, 1 audit cannot be asked, 2 wrong usage.
    """
    _asked(lambda stub: stub.RebuildIndex(audit.RebuildIndexRequest()))
    click.echo("dropped; it is being made anew: see `postlaw audit index status`")


def _asked(ask: Callable[[Any], Awaitable[Any]]) -> Any:
    try:
        return asyncio.run(asked_as_operator("audit", lambda channel: ask(AuditServiceStub(channel))))
    except (PostlawError, StartRefused, TlsFilesWrong, WrongSettings) as wrong:
        raise click.ClickException(f"audit cannot be asked: {wrong}") from wrong
