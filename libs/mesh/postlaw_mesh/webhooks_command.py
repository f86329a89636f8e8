"""`postlaw webhooks`: a customer's webhooks, from where the server that takes them is mended."""

from __future__ import annotations

import json
from typing import Any, TextIO

import click

from postlaw_mesh.over_rest import done, listed, over_rest

_PATH = "/v1/webhooks"


@click.group()
def webhooks() -> None:
    """Where a customer is told of opt-outs, bounces, complaints, campaigns and reports: what waits there, and sending it again.

    \b
    Example:
      postlaw webhooks redeliver whk_01m84s6memev1rrrm3cf6xsn86
    Exit codes: 0 done, 1 the API cannot be asked or refuses, 2 wrong usage.
    """


@webhooks.command("list")
@over_rest
def list_webhooks(url: str, key_file: TextIO | None, as_json: bool) -> None:
    """All of them, with what each is told of, how much waits for it, and why it is disabled.

    \b
    Example:
      postlaw webhooks list --json
    Exit codes: 0 done, 1 the API cannot be asked or refuses, 2 wrong usage.
    """
    for webhook in listed(url, key_file, _PATH, "webhooks"):
        _say(webhook, as_json)


@webhooks.command()
@click.argument("webhook_id")
@over_rest
def redeliver(webhook_id: str, url: str, key_file: TextIO | None, as_json: bool) -> None:
    """Send what waits now, in order for each person, also where it was disabled. What happened while it was disabled is not told.

    \b
    Example:
      postlaw webhooks redeliver whk_01m84s6memev1rrrm3cf6xsn86
    Exit codes: 0 done, 1 the API cannot be asked or refuses, 2 wrong usage.
    """
    _say(done(url, key_file, _PATH + "/{}/redeliver", webhook_id), as_json)


def _say(webhook: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(webhook))
        return
    told = ", ".join(webhook.get("event_types", [])) or "everything"
    because = webhook.get("disabled_because", "")
    line = f"{webhook['webhook_id']}  {webhook['url']}  {told}  {webhook.get('waiting', 0)} waiting"
    click.echo(f"{line}  disabled: {because}" if because else line)
