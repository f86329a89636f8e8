"""`postlaw report sub-processors`: the register that customers' reports are made of, for whoever runs the installation."""

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


@click.group("sub-processors")
def sub_processors() -> None:
    """The register of sub-processors, kept by whoever runs the installation; each change is in the log.

    \b
    Example:
      postlaw report sub-processors put "Example Cloud" --purpose hosting --location "Frankfurt, DE" --data "all, encrypted"
    Exit codes: 0 done, 1 audit cannot be asked or refuses, 2 wrong usage.
    """


def _as_json(command: Callable[..., None]) -> Callable[..., None]:
    return click.option("--json", "as_json", is_flag=True, help="The register's lines, one JSON object each.")(command)


@sub_processors.command()
@click.argument("name")
@click.option("--purpose", required=True, help="What for.")
@click.option("--location", required=True, help="Where it handles the data.")
@click.option("--data", default="", help="Which data.")
@_as_json
def put(name: str, purpose: str, location: str, data: str, as_json: bool) -> None:
    """Add one, or change it.

    \b
    Example:
      postlaw report sub-processors put "Example Cloud" --purpose hosting --location "Frankfurt, DE"
    Exit codes: 0 done, 1 audit cannot be asked or refuses, 2 wrong usage.
    """
    wanted = audit.SubProcessor(name=name, purpose=purpose, location=location, data=data)
    _say(_operator(lambda stub: stub.PutSubProcessor(audit.PutSubProcessorRequest(sub_processor=wanted))), as_json)


@sub_processors.command()
@click.argument("name")
@_as_json
def remove(name: str, as_json: bool) -> None:
    """Take one out, and say as what it stood there; reports go on to say that it was there.

    \b
    Example:
      postlaw report sub-processors remove "Example Cloud"
    Exit codes: 0 done, 1 audit cannot be asked or has no such one, 2 wrong usage.
    """
    _say(_operator(lambda stub: stub.RemoveSubProcessor(audit.RemoveSubProcessorRequest(name=name))), as_json)


@sub_processors.command("list")
@_as_json
def list_all(as_json: bool) -> None:
    """All that are in use, by name.

    \b
    Example:
      postlaw report sub-processors list --json
    Exit codes: 0 done, 1 audit cannot be asked or refuses, 2 wrong usage.
    """
    for one in _operator(lambda stub: stub.ListSubProcessors(audit.ListSubProcessorsRequest())).sub_processors:
        _say(one, as_json)


def _operator(ask: Callable[[Any], Awaitable[Any]]) -> Any:
    try:
        return asyncio.run(asked_as_operator("audit", lambda channel: ask(AuditServiceStub(channel))))
    except (PostlawError, StartRefused, TlsFilesWrong, WrongSettings) as wrong:
        raise click.ClickException(f"audit cannot be asked: {wrong}") from wrong


def _say(one: audit.SubProcessor, as_json: bool) -> None:
    told = {"name": one.name, "purpose": one.purpose, "location": one.location, "data": one.data, "version": one.version}
    click.echo(json.dumps(told) if as_json else f"{one.name}  {one.location}  {one.purpose}  {one.data}".rstrip())
