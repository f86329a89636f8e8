"""`postlaw identity`: what an operator says of a customer that no customer's own key may say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping

import click

from postlaw.identity.v1 import identity_pb2 as pb
from postlaw.identity.v1.identity_pb2_grpc import IdentityServiceStub
from postlaw_common.errors import PostlawError
from postlaw_common.opening import StartRefused, directory_from_outside
from postlaw_common.rpc.channel import MeshChannel
from postlaw_common.rpc.tls import TlsFilesWrong
from postlaw_common.settings import PlatformSettings, WrongSettings, load


@click.group()
def identity() -> None:
    """Where customers stand in the law.

    \b
    Example:
      postlaw identity sender ten_01m84s6memev1rrrm3cf6xsn86
    Exit codes: 0 done, 1 identity does not answer or refuses, 2 wrong usage.
    """


@identity.command()
@click.argument("tenant")
@click.option(
    "--territory", metavar="CODE", help="Where it is established, ISO 3166-1 alpha-2, like IE. Empty: unknown, the strictest law."
)
@click.option("--kind", metavar="KIND", help="business, registered_charity or nonprofit_club.")
@click.option("--time-zone", metavar="NAME", help="Its civil time, an IANA name, like Europe/Dublin. Empty: UTC.")
@click.option("--contact", metavar="LINE", help="Telephone, e-mail or web address that its messages name. Empty: none.")
@click.option("--postal-address", metavar="LINES", help="As it stands on the public pages.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: tenant_id, name, postal_address, version and the options' fields.")
def sender(tenant: str, as_json: bool, **said: str | None) -> None:
    """Show where a customer stands in the law; with options, change that. What is not said stays as it is.

    Every decision about its mail rests on this: say only what has been verified. A change counts within a minute, for what is decided
    from then on, and stands in the audit log. Needs the operator's certificate (POSTLAW_TLS_…, or the development CA in POSTLAW_STATE).

    \b
    Example:
      postlaw identity sender ten_01m84s6memev1rrrm3cf6xsn86 --territory IE --time-zone Europe/Dublin --contact post@example.com
    Exit codes: 0 done, 1 identity does not answer or refuses, 2 wrong usage.
    """
    changes = {name: value for name, value in said.items() if value is not None}
    try:
        found = asyncio.run(_ask(load(PlatformSettings), tenant, changes))
    except PostlawError as wrong:
        fields = "".join(f"\n  {error.field}: {error.message}" for error in wrong.fields)
        raise click.ClickException(f"{wrong}{fields}") from wrong
    except (WrongSettings, StartRefused, TlsFilesWrong) as wrong:
        raise click.ClickException(" ".join(str(wrong).split())) from wrong
    stands = found.sender_identity
    row = {
        "tenant_id": found.tenant_id,
        "name": found.name,
        "postal_address": found.postal_address,
        "territory": stands.territory,
        "kind": stands.kind,
        "time_zone": stands.time_zone,
        "contact": stands.contact,
        "version": found.version,
    }
    if as_json:
        click.echo(json.dumps(row))
        return
    silent = {"territory": "unknown: the strictest law", "time_zone": "UTC", "contact": "none"}
    for name, value in row.items():
        click.echo(f"{name:<16}{', '.join(str(value).splitlines()) or silent.get(name, 'none')}")


async def _ask(settings: PlatformSettings, tenant_id: str, changes: Mapping[str, str]) -> pb.Tenant:
    directory = directory_from_outside(settings)
    try:
        return await changed(lambda token: directory.channel("identity", lambda: "operator", token), tenant_id, changes)
    finally:
        await directory.close()


async def changed(channel: Callable[[Callable[[], bytes]], MeshChannel], tenant_id: str, changes: Mapping[str, str]) -> pb.Tenant:
    """The tenant, after these changes where there are any. `channel`: the operator's to identity, with the token that it is given."""
    token = b""
    stub = IdentityServiceStub(channel(lambda: token))
    issued = await stub.IssueOperatorContext(pb.IssueOperatorContextRequest())
    token = issued.signed.SerializeToString()
    tenant = await stub.GetTenant(pb.GetTenantRequest(tenant_id=tenant_id))
    if not changes:
        return tenant
    request = pb.SetSenderIdentityRequest(tenant_id=tenant_id, sender_identity=tenant.sender_identity)
    for name, value in changes.items():
        setattr(request if name == "postal_address" else request.sender_identity, name, value)
    return await stub.SetSenderIdentity(request)
