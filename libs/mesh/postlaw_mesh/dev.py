"""`postlaw dev`: every service in one process on embedded adapters, over real gRPC, with a catcher that keeps mail from leaving."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import click

from postlaw_common import telemetry
from postlaw_common.free_ports import free_port
from postlaw_common.memory import bound_arenas, settled
from postlaw_common.platform import Platform
from postlaw_common.runner import ONE_LINERS, BackgroundFailed, Running, run_services, share_interpreter
from postlaw_common.service import Service
from postlaw_common.settings import PlatformSettings, load
from postlaw_gateway.service import GatewaySettings
from postlaw_mesh.builders import builders
from postlaw_mesh.catcher import Catcher
from postlaw_mesh.first_use import Credentials, credentials, form_url
from postlaw_mesh.inbox import inbox
from postlaw_mesh.rest_client import ApiProblem, client
from postlaw_sending.settings import SendingSettings

GATEWAY_PORT, INBOX_PORT = 8080, 8025


@dataclass(frozen=True, slots=True)
class Ready:
    """What a newcomer needs to know of a mesh that runs. `gateway` and `inbox` are addresses without a path; `form` is a page on which
    people sign up."""

    gateway: str
    inbox: str
    tenant_id: str
    api_key: str
    state: str
    form: str = ""


class PortInUse(Exception):
    """The message is one clear line."""


def relay_on_loopback(host: str, port: int) -> SendingSettings:
    """The environment's settings, but for the relay. Mail stays on this machine, so that nobody's domain needs to be verified."""
    return SendingSettings.model_validate({"relay_host": host, "relay_port": port, "relay_tls": "none", "unverified_domains": "allow"})


def build_inbox(catcher: Catcher, smtp_port: int) -> Service:
    async def start() -> None:
        try:
            await catcher.start("127.0.0.1", smtp_port)
        except OSError as taken:
            raise PortInUse(f"the mail catcher cannot listen on 127.0.0.1:{smtp_port}: {taken.strerror}") from taken

    return Service(name="inbox", on_start=start, on_stop=catcher.stop, http_app=inbox(catcher))


@asynccontextmanager
async def development_mesh(settings: PlatformSettings, sending: SendingSettings | None = None) -> AsyncGenerator[tuple[Running, Ready]]:
    """The whole mesh, ready. Mail goes to the catcher, unless `sending` names another relay."""
    smtp_port = free_port()
    catcher = Catcher()
    caught = sending or relay_on_loopback("127.0.0.1", smtp_port)

    def inbox_builder(platform: Platform) -> Service:
        return build_inbox(catcher, smtp_port)

    generous = GatewaySettings(rate_per_second=2000, rate_burst=4000)
    async with run_services(settings, [inbox_builder, *builders(sending=caught, gateway=generous).values()]) as running:
        made: Credentials = await credentials(running, settings.state)
        urls = {name: f"http://127.0.0.1:{port}" for name, port in running.http_ports.items()}
        yield running, Ready(urls["gateway"], urls["inbox"], made.tenant_id, made.api_key, str(settings.state))


def development_settings(state: Path | None, gateway_port: int | None, inbox_port: int | None) -> PlatformSettings:
    """The environment's settings, with what the command line says above them."""
    settings = load(PlatformSettings)
    ports = {"gateway": GATEWAY_PORT, "inbox": INBOX_PORT, **settings.http_port}
    if gateway_port is not None:
        ports["gateway"] = gateway_port or free_port()
    if inbox_port is not None:
        ports["inbox"] = inbox_port
    changes: dict[str, object] = {"http_port": ports}
    if "public_url" not in settings.model_fields_set:
        changes["public_url"] = f"http://localhost:{ports['gateway']}"
    if state is not None:
        changes["state"] = state
    return settings.model_copy(update=changes)


def welcome(ready: Ready) -> str:
    return f"""
  Postlaw runs. Mail is caught here and never sent; stop with Ctrl-C, what you did stays in {ready.state}.

    REST API      {ready.gateway}/v1      reference: {ready.gateway}/docs
    inbox         {ready.inbox}
    sign up       {ready.form}      the confirmation mail is in the inbox
    API key       {ready.api_key}
                  for seven days, shown this once; a restart makes another

  Try:
    curl -s -H "Authorization: Bearer {ready.api_key}" -H "Content-Type: application/json" \\
         -d '{{"name": "Newsletter"}}' {ready.gateway}/v1/lists
  Then open a mail in the inbox, follow its unsubscribe link, and ask the log for the proof (/v1/audit/events/EVENT_ID/proof).
"""


async def _until_stopped(settings: PlatformSettings, sending: SendingSettings | None, as_json: bool) -> None:
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    async with development_mesh(settings, sending) as (running, ready):
        async with client(ready.gateway, ready.api_key) as api:
            ready = replace(ready, form=await form_url(api))
        settled()
        click.echo(json.dumps({name: getattr(ready, name) for name in Ready.__slots__}) if as_json else welcome(ready))
        waiting = asyncio.ensure_future(told.wait())
        await asyncio.wait({waiting, running.failed}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not as_json:
            click.echo("stopping …")


@click.command()
@click.option("--state", type=click.Path(path_type=Path), help="Where everything is kept. Default: .state")
@click.option("--port", type=click.IntRange(0, 65535), help=f"The gateway's port; 0 takes a free one. Default: {GATEWAY_PORT}")
@click.option("--inbox-port", type=click.IntRange(0, 65535), help=f"The inbox's port; 0 takes a free one. Default: {INBOX_PORT}")
@click.option("--relay", metavar="HOST:PORT", help="Hand mail to this SMTP server on loopback instead of the inbox (for benchmarks).")
@click.option("--json", "as_json", is_flag=True, help="One JSON object when ready: gateway, inbox, tenant_id, api_key, state, form.")
def dev(state: Path | None, port: int | None, inbox_port: int | None, relay: str | None, as_json: bool) -> None:
    """The whole mesh in one process, until Ctrl-C.

    \b
    Example:
      postlaw dev --port 8080
    Exit codes: 0 stopped in order, 1 could not start or failed, 2 wrong usage.
    """
    sending = None
    if relay:
        host, _, relay_port = relay.rpartition(":")
        if host not in ("127.0.0.1", "localhost", "::1") or not relay_port.isdigit():
            raise click.UsageError(f"--relay is {relay!r}; give an SMTP server on this machine, like 127.0.0.1:2525")
        sending = relay_on_loopback(host, int(relay_port))
    try:
        bound_arenas()
        settings = development_settings(state, port, inbox_port)
        telemetry.setup(settings, service="dev")
        share_interpreter()
        import uvloop

        uvloop.run(_until_stopped(settings, sending, as_json))
    except (*ONE_LINERS, BackgroundFailed, PortInUse, ApiProblem) as wrong:
        raise click.ClickException(" ".join(str(wrong).split())) from wrong
    finally:
        with contextlib.suppress(Exception):
            telemetry.shutdown()
