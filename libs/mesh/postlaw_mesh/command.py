"""The `postlaw` command. Each part is imported only when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from postlaw_common.bus import Received

_COMMANDS = {
    "dev": "postlaw_mesh.dev:dev",
    "demo": "postlaw_mesh.demo.command:demo",
    "run": "postlaw_mesh.run_command:run",
    "bucket": "postlaw_mesh.bucket_command:bucket",
    "inbox": "postlaw_mesh.inbox_command:inbox",
    "certificates": "postlaw_mesh.certificates:certificates",
    "credentials": "postlaw_mesh.credentials_command:credentials",
    "dlq": "postlaw_common.dlq_commands:dlq",
    "generation": "postlaw_common.generation_commands:generation",
    "identity": "postlaw_identity.commands:identity",
    "checklist": "postlaw_mesh.checklist_command:checklist",
    "domains": "postlaw_mesh.domains_command:domains",
    "webhooks": "postlaw_mesh.webhooks_command:webhooks",
    "bounce": "postlaw_sending.returns.commands:bounce",
    "law": "postlaw_law.commands:law",
    "audit": "postlaw_audit.commands:audit",
    "consent": "postlaw_consent.commands:consent",
    "decisions": "postlaw_consent.commands:decisions",
    "evidence": "postlaw_mesh.evidence_command:evidence",
    "reconcile": "postlaw_mesh.reconcile_command:reconcile",
    "report": "postlaw_mesh.report_command:report",
    "receipt": "postlaw_mesh.receipt_command:receipt",
    "suppress-everywhere": "postlaw_subscribers.commands:suppress_everywhere",
    "postmaster": "postlaw_sending.returns.postmaster_commands:postmaster",
    "sending": "postlaw_sending.commands:sending",
}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.group(cls=_Lazy)
@click.version_option(package_name="postlaw")
@click.pass_context
def main(context: click.Context) -> None:
    """Postlaw: when a person says stop, the mail stops before we answer, and anyone can check that it did.

    \b
    Example:
      postlaw dev
    Exit codes: 0 done, 1 it cannot be done, 2 wrong usage; a command that has others says so in its own --help.
    """
    context.obj = _events_in_log


def _events_in_log(topic: str) -> AsyncGenerator[list[Received]]:
    reading: AsyncGenerator[list[Received]] = importlib.import_module("postlaw_mesh.events_in_log").events_in_log(topic)
    return reading
