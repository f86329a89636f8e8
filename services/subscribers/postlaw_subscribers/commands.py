"""`postlaw suppress-everywhere`: no customer of this installation mails an address any more, by word of whoever runs it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable

import click

from postlaw.identity.v1.identity_pb2 import IssueOperatorContextRequest
from postlaw.identity.v1.identity_pb2_grpc import IdentityServiceStub
from postlaw.subscribers.v1 import subscribers_pb2 as pb
from postlaw.subscribers.v1.subscribers_pb2_grpc import SubscribersServiceStub
from postlaw_common.errors import PostlawError
from postlaw_common.opening import StartRefused, directory_from_outside
from postlaw_common.rpc.channel import MeshChannel
from postlaw_common.rpc.tls import TlsFilesWrong
from postlaw_common.settings import PlatformSettings, WrongSettings, load

Channel = Callable[[str, Callable[[], bytes]], MeshChannel]
"""The operator's to a service, with the token that it is given."""


@click.command("suppress-everywhere")
@click.option(
    "--reason", required=True, metavar="TEXT", help="Why. It stands in the ledger of each customer who has the person: name nobody."
)
@click.option("--lift", is_flag=True, help="Take it back. What the person or a customer closed stays closed.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: outcome, customers, stopped, recorded, lifted, failed.")
def suppress_everywhere(reason: str, lift: bool, as_json: bool) -> None:
    """Stop all mail of every customer to an address, of those who have it now and of those who get it later.

    The address is asked for, or read from standard input, so that it stays in no shell's history. Nobody but an operator takes it back: no
    form, no link, no customer. The answer is `stopped` where each customer's mail to the person has stopped, else `recorded`: obeyed from
    now on, and a message may already be on its way. Safe to repeat. Needs the operator's certificate (POSTLAW_TLS_…, or the development CA
    in POSTLAW_STATE).

    \b
    Example:
      postlaw suppress-everywhere --reason "court order of 3 May" < address.txt
    Exit codes: 0 done, 1 subscribers does not answer or refuses, 2 wrong usage, 3 kept, but not carried out at each customer: run it again.
    """
    address = click.prompt("Address", err=True) if sys.stdin.isatty() else sys.stdin.readline()
    request = pb.SuppressEverywhereRequest(address=address.strip(), reason=reason, lift=lift)
    try:
        done = asyncio.run(ask(load(PlatformSettings), request))
    except PostlawError as wrong:
        raise click.ClickException(str(wrong)) from wrong
    except (WrongSettings, StartRefused, TlsFilesWrong) as wrong:
        raise click.ClickException(" ".join(str(wrong).split())) from wrong
    row = told(done, lift=lift)
    if as_json:
        click.echo(json.dumps(row))
    else:
        click.echo(", ".join(f"{name} {value}" for name, value in row.items()))
    sys.exit(3 if done.failed else 0)


def told(done: pb.SuppressedEverywhere, *, lift: bool) -> dict[str, str | int]:
    outcome = "lifted" if lift else "recorded" if done.recorded or done.failed else "stopped"
    counts = {name: getattr(done, name) for name in ("customers", "stopped", "recorded", "lifted", "failed")}
    return {"outcome": outcome, **counts}


async def ask(settings: PlatformSettings, request: pb.SuppressEverywhereRequest) -> pb.SuppressedEverywhere:
    """Of the installation that the settings name. Raises PostlawError, StartRefused, TlsFilesWrong."""
    directory = directory_from_outside(settings)
    try:
        return await carried_out(lambda service, token: directory.channel(service, lambda: "operator", token), request)
    finally:
        await directory.close()


async def carried_out(channel: Channel, request: pb.SuppressEverywhereRequest) -> pb.SuppressedEverywhere:
    """How it ended. Raises PostlawError."""
    issued = await IdentityServiceStub(channel("identity", lambda: b"")).IssueOperatorContext(IssueOperatorContextRequest())
    token = issued.signed.SerializeToString()
    steps = SubscribersServiceStub(channel("subscribers", lambda: token)).SuppressEverywhere(request)
    return [now async for now in steps][-1]
