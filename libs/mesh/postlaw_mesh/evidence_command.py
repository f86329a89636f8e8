"""`postlaw evidence`: why somebody was mailed, what came of their opt-out, who looked at their data: on the screen, and as one ZIP."""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path
from typing import TextIO

import click

from postlaw_mesh.over_rest import asked, over_rest
from postlaw_mesh.rest_client import RestClient


@click.command()
@click.option("--address", help="The person's address; `-` reads it from standard input. Also of somebody who was erased.")
@click.option("--subscriber", help="Or their subscriber id.")
@click.option("--zip", "zipped", type=click.Path(dir_okay=False, path_type=Path), help="Where to write the bundle that others can check.")
@over_rest
def evidence(address: str | None, subscriber: str | None, zipped: Path | None, url: str, key_file: TextIO | None, as_json: bool) -> None:
    """What the log has of one person. The bundle holds the entries, their proofs, and a verifier that needs Python alone.

    \b
    Example:
      postlaw evidence --address - --zip evidence.zip
    Exit codes: 0 done, 1 the API cannot be asked or has nothing of them, 2 wrong usage.
    """
    if (address is None) == (subscriber is None):
        raise click.UsageError("name the person by --address or by --subscriber")
    who = {"subscriber_id": subscriber} if address is None else {"address": sys.stdin.readline().strip() if address == "-" else address}

    async def ask(api: RestClient) -> bytes:
        return await api.download("/v1/evidence", who)

    bundle = asked(url, key_file, ask)
    if zipped is not None:
        zipped.write_bytes(bundle)
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        click.echo(archive.read("evidence.json" if as_json else "account.txt").decode())
