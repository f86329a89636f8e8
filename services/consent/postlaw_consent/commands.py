"""`postlaw consent`: what whoever restores consent's database must do. `postlaw decisions`: every decision, once more."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from postlaw_common.bus import Bus, Received
from postlaw_common.bus.once import whole_topic
from postlaw_common.bus_commands import UNUSABLE, with_bus
from postlaw_common.settings import PlatformSettings, load
from postlaw_common.store import StoreUnavailable, open_store
from postlaw_consent.decisions_made import DECISIONS, Made
from postlaw_consent.decisions_wire import decode_made
from postlaw_consent.laws import LAWS, Laws
from postlaw_consent.ledger import LEDGER
from postlaw_consent.outgoing import EVENTS
from postlaw_consent.use_cases.recover_ledger import Recovered, RecoverLedger
from postlaw_consent.use_cases.replay_decisions import ReplayDecisions, Replayed, UnknownLaw
from postlaw_consent.wire import decode
from postlaw_law.clocks import microseconds
from postlaw_law.law import Law
from postlaw_law.loading import load_law, the_law
from postlaw_law.reading import LawRefused

Pages = AsyncGenerator[list[Received]]


class LogUnusable(Exception):
    """The audit log cannot be read, or does not fit together. The message is one clear line."""


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


@click.group()
def decisions() -> None:
    """What the first gate decided, and what it would decide.

    \b
    Example:
      postlaw decisions replay
    Exit codes: 0 done, 1 it cannot be done, 2 wrong usage, 3 done, and something differs (see the command).
    """


@decisions.command()
@click.option("--since", type=click.DateTime(["%Y-%m-%dT%H:%M:%S%z"]), help="Decided at this instant or later; with its zone.")
@click.option("--until", type=click.DateTime(["%Y-%m-%dT%H:%M:%S%z"]), help="Decided before this instant; with its zone.")
@click.option("--tenant", "tenant_id", help="Of this customer alone.")
@click.option("--campaign", "campaign_id", help="Of this campaign alone.")
@click.option("--from-log", is_flag=True, help="What the audit log holds, not the bus, which keeps thirty days. The log is verified first.")
@click.option("--law", "folder", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Decide under the law in this folder.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def replay(
    log: Callable[[str], Pages] | None,
    since: datetime | None,
    until: datetime | None,
    tenant_id: str | None,
    campaign_id: str | None,
    from_log: bool,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Decides again what stands on the bus, from the ledger as it was then and by the law of that day; names what differs.

    With --law, a folder of law files: what that law would have opened and closed, before it is in force.

    \b
    Example:
      postlaw decisions replay
      postlaw decisions replay --from-log --since 2024-01-01T00:00:00+0000
      postlaw decisions replay --campaign cmp_06d3k5yznp1w9r8g7f6e5d4c3b --law new-law --json
    Exit codes: 0 all as they were decided, 1 bus, log, store or law cannot be used, 2 wrong usage, 3 some differ.
    """
    begin, end = (at and microseconds(at) for at in (since, until))

    def wanted(made: Made) -> bool:
        return (
            (begin is None or made.decided_at_us >= begin)
            and (end is None or made.decided_at_us < end)
            and tenant_id in (None, made.tenant_id)
            and campaign_id in (None, made.campaign_id)
        )

    try:
        under = load_law(folder) if folder else None
        progress: Callable[[Replayed], None] = (lambda _: None) if as_json else _show_replayed
        if from_log:
            if log is None:
                raise LogUnusable("the log is read by `postlaw decisions`, where all services are at hand")
            done = asyncio.run(_replay(log(DECISIONS.name), wanted, under, progress))
        else:
            done = with_bus("decisions", lambda bus: _replay_topic(bus, wanted, under, progress))
    except (StoreUnavailable, UnknownLaw, LawRefused, LogUnusable) as wrong:
        click.echo(f"postlaw decisions: {wrong}.", err=True)
        sys.exit(UNUSABLE)
    if as_json:
        click.echo(json.dumps(_as_json(done)))
    else:
        click.echo(err=True)
        click.echo(f"{done.decisions} decisions in {done.batches} batches: {sum(done.by_change.values())} differ")
        if done.opened or done.closed:
            click.echo(f"  {done.opened} would be opened, {done.closed} would be closed")
        for (was, now), count in done.by_change.most_common():
            click.echo(f"  {count} times {_said(was)}, now {_said(now)}")
        for batch in done.inputs_differ:
            click.echo(f"  the inputs of {batch} are not those that were decided on")
    sys.exit(0 if done.as_made else 3)


async def _replay_topic(bus: Bus, wanted: Callable[[Made], bool], under: Law | None, progress: Callable[[Replayed], None]) -> Replayed:
    await bus.ensure_topics([DECISIONS])
    return await _replay(whole_topic(bus, DECISIONS.name), wanted, under, progress)


async def _replay(pages: Pages, wanted: Callable[[Made], bool], under: Law | None, progress: Callable[[Replayed], None]) -> Replayed:
    settings = load(PlatformSettings)
    store = open_store(settings.store, "consent", state=str(settings.state))
    try:
        await store.start([LEDGER, LAWS])
        laws = Laws(lambda: store.collection(LAWS.name))
        laws.know(the_law())
        again = ReplayDecisions(store.collection(LEDGER.name), laws.get, decode_made, progress, under=under)
        async with aclosing(pages):
            return await again(pages, wanted)
    finally:
        await store.close()


def _as_json(done: Replayed) -> dict[str, Any]:
    return {
        "batches": done.batches,
        "decisions": done.decisions,
        "opened": done.opened,
        "closed": done.closed,
        "changes": [{"was": was, "now": now, "times": times} for (was, now), times in done.by_change.most_common()],
        "differ": [{"batch": one.batch, "address_key": one.address_key.hex(), "was": one.was, "now": one.now} for one in done.differ],
        "inputs_differ": done.inputs_differ,
    }


def _said(codes: tuple[str, ...]) -> str:
    return ", ".join(codes) or "allowed"


def _show_replayed(done: Replayed) -> None:
    click.echo(f"\r{done.decisions} decisions replayed", nl=False, err=True)
