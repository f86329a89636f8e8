"""`postlaw audit`: checks the log, from its blobs alone."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TextIO

import click

from postlaw_audit.notes import NoteInvalid
from postlaw_audit.verifying import LogInvalid, Verified, verify_log
from postlaw_common.blobs import BlobsUnavailable, open_blobs
from postlaw_common.settings import PlatformSettings, WrongSettings, load


@click.group()
def audit() -> None:
    """The verifiable log of everything.

    \b
    Example:
      postlaw audit verify
    Exit codes: 0 the log is whole, 1 it is not, 2 wrong usage, 3 it cannot be read.
    """


@audit.command()
@click.option("--state", help="The state directory. Default: POSTLAW_STATE, .state")
@click.option("--key", help="The log's verifier key in note format; without it, the one that lies beside the log.")
@click.option(
    "--earlier", type=click.File(), help="A checkpoint kept from before, as it was published: the log must continue it, not begin anew."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def verify(state: str | None, key: str | None, earlier: TextIO | None, as_json: bool) -> None:
    """Signature of the checkpoint, hash of every entry, its place on the bus, every tile, the root.

    \b
    Example:
      postlaw audit verify --json
      postlaw audit verify --earlier checkpoint-of-last-month
    Exit codes: 0 the log is whole, 1 it is not (what does not fit is named), 2 wrong usage, 3 it cannot be read.
    """
    try:
        settings = load(PlatformSettings)
        found = asyncio.run(_verify(settings.blobs, state or str(settings.state), key, earlier.read() if earlier else None))
    except (LogInvalid, NoteInvalid) as wrong:
        click.echo(json.dumps({"valid": False, "reason": str(wrong)}) if as_json else f"NOT VALID: {wrong}")
        sys.exit(1)
    except (BlobsUnavailable, WrongSettings, OSError) as unreadable:
        click.echo(f"the log cannot be read: {unreadable}", err=True)
        sys.exit(3)
    checkpoint = found.checkpoint
    if as_json:
        log = {"origin": checkpoint.origin, "size": checkpoint.size, "root": checkpoint.root.hex()}
        result = {"valid": True, **log, "tiles": found.tiles, "generations": found.generations}
        click.echo(json.dumps(result))
    else:
        click.echo(f"valid: {checkpoint.size} entries of {checkpoint.origin}, {found.tiles} tiles, root {checkpoint.root.hex()}")
        if found.generations:
            click.echo(f"restored: the topics began anew {found.generations} times; behind each such entry offsets come again")
        click.echo("unwitnessed: no outside cosignature stands under this checkpoint")


async def _verify(url: str, state: str, key: str | None, earlier: str | None) -> Verified:
    blobs = open_blobs(url, state=state)
    await blobs.start()
    try:
        return await verify_log(blobs, key, earlier)
    finally:
        await blobs.close()
