"""`postlaw reconcile`: what each service keeps, held against its second source now; a relay's log, against what was handed over to it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import click
from google.protobuf.json_format import MessageToJson

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw.audit.v1.audit_pb2_grpc import ReconcilerServiceStub
from postlaw.sending.v1 import sending_pb2 as sending
from postlaw.sending.v1.sending_pb2_grpc import SendingServiceStub
from postlaw_common.errors import PostlawError
from postlaw_common.opening import StartRefused, asked_as_operator
from postlaw_common.rpc.tls import TlsFilesWrong
from postlaw_common.settings import WrongSettings

SERVICES = ("audit", "consent", "sending")
DIFFERS, NOT_ASKED = 1, 3
_PIECE = 1 << 20
_PATIENCE_S = 3600.0


@click.command()
@click.option(
    "--relay-log",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Hold hand-offs against this log of Postfix's or Exim's instead: plain text, as they write it.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a check.")
def reconcile(relay_log: Path | None, as_json: bool) -> None:
    """Hold ledger, bus, suppression, batches, outcomes and audit log against each other, now. Nothing is changed.

    Services do it by themselves as well (POSTLAW_RECONCILE_EVERY_S); GET /v1/reconciliations has what they found last.

    \b
    Example:
      postlaw reconcile --json
      postlaw reconcile --relay-log /var/log/mail.log
    Exit codes: 0 nothing differs, 1 something differs, 2 wrong usage, 3 a service cannot be asked.
    """
    try:
        found = asyncio.run(_of_log(relay_log) if relay_log else _of_services())
    except (PostlawError, StartRefused, TlsFilesWrong, WrongSettings) as wrong:
        click.echo(f"Error: this cannot be asked: {wrong}", err=True)
        sys.exit(NOT_ASKED)
    for one in found:
        if as_json:
            click.echo(MessageToJson(one, indent=None, preserving_proto_field_name=True, always_print_fields_with_no_presence=True))
        else:
            _say(one)
    sys.exit(DIFFERS if any(one.differences for one in found) else 0)


async def _of_services() -> list[audit.Reconciliation]:
    found: list[audit.Reconciliation] = []
    for service in SERVICES:

        async def ask(channel: Any) -> audit.ReconcileResponse:
            stub: Any = ReconcilerServiceStub(channel)
            return await stub.Reconcile(audit.ReconcileRequest(), timeout=_PATIENCE_S)

        found += (await asked_as_operator(service, ask)).reconciliations
    return found


async def _of_log(log: Path) -> list[audit.Reconciliation]:
    async def pieces() -> AsyncIterator[sending.RelayLogPiece]:
        with log.open("rb") as file:
            while piece := file.read(_PIECE):
                yield sending.RelayLogPiece(data=piece)

    async def ask(channel: Any) -> audit.Reconciliation:
        stub: Any = SendingServiceStub(channel)
        return await stub.ReconcileRelayLog(pieces(), timeout=_PATIENCE_S)

    return [await asked_as_operator("sending", ask)]


def _say(one: audit.Reconciliation) -> None:
    click.echo(f"{one.service}: {one.check}: {one.looked_at} looked at, {one.differences or 'none'} differ")
    for difference in one.found:
        click.echo(f"  {difference.what}: {', '.join((difference.tenant_id, *difference.ids)).strip(', ')}")
