"""`postlaw checklist`: whether a campaign may start, before somebody says that it should."""

from __future__ import annotations

import json
import sys
from typing import Any, TextIO

import click

from postlaw_mesh.over_rest import REFUSED, asked, in_path, over_rest
from postlaw_mesh.rest_client import RestClient


@click.command()
@click.argument("campaign")
@over_rest
def checklist(campaign: str, url: str, key_file: TextIO | None, as_json: bool) -> None:
    """What is looked at before a launch: of each item whether it passes, what was found, and what to do.

    \b
    Example:
      postlaw checklist cmp_06d3v4m0p8
    Exit codes: 0 it may be launched, 1 the API cannot be asked or refuses, 2 wrong usage, 3 an item fails.
    """

    async def ask(api: RestClient) -> dict[str, Any]:
        return await api.call("GET", f"/v1/campaigns/{in_path(campaign)}/checklist")

    found = asked(url, key_file, ask)
    if as_json:
        click.echo(json.dumps(found))
    else:
        for item in found.get("items", []):
            click.echo(f"{item['state']:5} {item['id']}: {item.get('what', '')}".rstrip(": "))
            if item.get("what_to_do"):
                click.echo(f"      {item['what_to_do']}")
    sys.exit(0 if found.get("passed") else REFUSED)
