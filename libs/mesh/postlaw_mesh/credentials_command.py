"""`postlaw credentials`: a first customer and an API key of a mesh that runs, asked for as its operator."""

from __future__ import annotations

import asyncio
import json

import click

from postlaw_common.errors import PostlawError
from postlaw_common.opening import StartRefused, directory_from_outside
from postlaw_common.rpc.tls import TlsFilesWrong
from postlaw_common.settings import PlatformSettings, WrongSettings, load
from postlaw_mesh.first_use import Credentials, credentials_over


async def ask(settings: PlatformSettings) -> Credentials:
    directory = directory_from_outside(settings)
    try:
        return await credentials_over(lambda token: directory.channel("identity", lambda: "operator", token), settings.state)
    finally:
        await directory.close()


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object: tenant_id, api_key.")
def credentials(as_json: bool) -> None:
    """The development customer of this installation, made on first use, and a fresh API key of seven days, shown this once.

    Needs the operator's certificate (POSTLAW_TLS_…, or the development CA in POSTLAW_STATE) and identity's address
    (POSTLAW_PEER_IDENTITY, or what a process on this machine has written into POSTLAW_STATE).

    \b
    Example:
      postlaw credentials --json
    Exit codes: 0 done, 1 identity does not answer or refuses, 2 wrong usage.
    """
    try:
        made = asyncio.run(ask(load(PlatformSettings)))
    except (WrongSettings, StartRefused, TlsFilesWrong, PostlawError) as wrong:
        raise click.ClickException(" ".join(str(wrong).split())) from wrong
    if as_json:
        click.echo(json.dumps({"tenant_id": made.tenant_id, "api_key": made.api_key}))
    else:
        click.echo(f"customer  {made.tenant_id}\nAPI key   {made.api_key}    (seven days)")
