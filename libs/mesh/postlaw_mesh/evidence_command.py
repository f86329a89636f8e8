"""`postlaw evidence`: why somebody was mailed, what came of their opt-out, who looked at their data: on the screen, and as one ZIP."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from pathlib import Path
from typing import BinaryIO, TextIO

import click

from postlaw_mesh.over_rest import REFUSED, asked, over_rest
from postlaw_mesh.rest_client import ApiProblem, RestClient

_NOT_OURS = "not-ours"


@click.command()
@click.option("--address", help="The person's address; `-` reads it from standard input. Also of somebody who was erased.")
@click.option("--subscriber", help="Or their subscriber id.")
@click.option(
    "--eml", type=click.File("rb"), help="Or a mail that they got, as it came; `-` reads it, or its header alone, from standard input."
)
@click.option(
    "--page", type=click.Path(dir_okay=False, path_type=Path), help="Where to write the answers as a page, to be read or printed."
)
@click.option("--zip", "zipped", type=click.Path(dir_okay=False, path_type=Path), help="Where to write the bundle that others can check.")
@over_rest
def evidence(
    address: str | None,
    subscriber: str | None,
    eml: BinaryIO | None,
    page: Path | None,
    zipped: Path | None,
    url: str,
    key_file: TextIO | None,
    as_json: bool,
) -> None:
    """What the log has of one person. The bundle holds the entries, their proofs, and a verifier that needs Python alone.

    A mail is ours where a DKIM key that the log names has signed it, and the log has its hand-over; else it is said why not. One that is
    attached to the mail that is shown will do.

    \b
    Example:
      postlaw evidence --address - --zip evidence.zip
      postlaw evidence --eml complaint.eml --page evidence.html
    Exit codes: 0 done, 1 the API cannot be asked or has nothing of them, 2 wrong usage, 3 the mail is not ours.
    """
    if [address, subscriber, eml].count(None) != 2:
        raise click.UsageError("name the person by --address, by --subscriber or by --eml")
    mail = eml.read() if eml is not None else None
    who = {"subscriber_id": subscriber} if address is None else {"address": sys.stdin.readline().strip() if address == "-" else address}

    async def ask(api: RestClient) -> bytes | ApiProblem:
        try:
            return await (api.download("/v1/evidence", who) if mail is None else api.evidence_of_mail(mail))
        except ApiProblem as problem:
            if problem.type == _NOT_OURS:
                return problem
            raise

    bundle = asked(url, key_file, ask)
    if isinstance(bundle, ApiProblem):
        click.echo(json.dumps({"ours": False, "reason": bundle.detail}) if as_json else f"NOT OURS. {bundle.detail}")
        sys.exit(REFUSED)
    if zipped is not None:
        zipped.write_bytes(bundle)
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        if page is not None:
            page.write_bytes(archive.read("account.html"))
        click.echo(archive.read("evidence.json" if as_json else "account.txt").decode())
