"""`postlaw consent`: what whoever restores consent's database must do."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import click

from postlaw_common.bus import Bus
from postlaw_common.bus_commands import UNUSABLE, with_bus
from postlaw_common.settings import PlatformSettings, load
from postlaw_common.store import StoreUnavailable, open_store
from postlaw_consent.ledger import LEDGER
from postlaw_consent.outgoing import EVENTS
from postlaw_consent.use_cases.recover_ledger import Recovered, RecoverLedger
from postlaw_consent.wire import decode


@click.group()
def consent() -> None:
    """The ledger of consent.

    \b
    Example:
      postlaw consent recover
    Exit codes: 0 done, 1 it cannot be done, 2 wrong usage, 3 done in part (see the command).
    """


@consent.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def recover(as_json: bool) -> None:
    """After consent's database was set back, before any service is started: puts back what the bus still holds.

    Every consent and every opt-out of the last thirty days stands on the bus in the very bytes of the ledger. It may be broken off
    and begun again, and on a ledger that lacks nothing it changes nothing.

    \b
    Example:
      postlaw consent recover
    Exit codes: 0 done, 1 bus or store cannot be used, 2 wrong usage, 3 done, but for events whose place in a person's history another event
    has taken, since a service ran too soon: their ids are printed.
    """
    try:
        found = with_bus("consent", lambda bus: _recover(bus, (lambda _: None) if as_json else _show))
    except StoreUnavailable as gone:
        click.echo(f"postlaw consent: {gone}.", err=True)
        sys.exit(UNUSABLE)
    if as_json:
        click.echo(json.dumps({"events": found.events, "restored": found.restored, "displaced": found.displaced}))
    else:
        click.echo(err=True)
        click.echo(f"{found.restored} of {found.events} events on the bus were missing in the ledger, and are back")
        for event_id in found.displaced:
            click.echo(f"not put back, its place is taken: {event_id}")
    sys.exit(3 if found.displaced else 0)


async def _recover(bus: Bus, progress: Callable[[Recovered], None]) -> Recovered:
    settings = load(PlatformSettings)
    store = open_store(settings.store, "consent", state=str(settings.state))
    try:
        await store.start([LEDGER])
        await bus.ensure_topics([EVENTS])
        return await RecoverLedger(store.collection(LEDGER.name), bus, decode, progress)()
    finally:
        await store.close()


def _show(done: Recovered) -> None:
    click.echo(f"\r{done.events} events read, {done.restored} put back", nl=False, err=True)
