"""`postlaw report sub-processors`: the register that customers' reports are made of, for whoever runs the installation."""

from __future__ import annotations

import asyncio
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


@sub_processors.command()
@click.argument("name")
@click.option("--purpose", required=True, help="What for.")
@click.option("--location", required=True, help="Where it handles the data.")
@click.option("--data", default="", help="Which data.")
def put(name: str, purpose: str, location: str, data: str) -> None:
    """Add one, or change it.

    \b
    Example:
      postlaw report sub-processors put "Example Cloud" --purpose hosting --location "Frankfurt, DE"
    Exit codes: 0 done, 1 audit cannot be asked or refuses, 2 wrong usage.
    """
    wanted = audit.SubProcessor(name=name, purpose=purpose, location=location, data=data)
    _operator(lambda stub: stub.PutSubProcessor(audit.PutSubProcessorRequest(sub_processor=wanted)))
    click.echo(f"{name} stands in the register")


@sub_processors.command()
@click.argument("name")
def remove(name: str) -> None:
    """Take one out; reports go on to say that it was there.

    \b
    Example:
      postlaw report sub-processors remove "Example Cloud"
    Exit codes: 0 done, 1 audit cannot be asked or refuses, 2 wrong usage.
    """
    _operator(lambda stub: stub.RemoveSubProcessor(audit.RemoveSubProcessorRequest(name=name)))
    click.echo(f"{name} is out of the register")


def _operator(ask: Callable[[Any], Awaitable[Any]]) -> None:
    try:
        asyncio.run(asked_as_operator("audit", lambda channel: ask(AuditServiceStub(channel))))
    except (PostlawError, StartRefused, TlsFilesWrong, WrongSettings) as wrong:
        raise click.ClickException(f"audit cannot be asked: {wrong}") from wrong
