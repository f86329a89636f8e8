"""`postlaw sending`: what whoever is on call must see and say about the workers."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import click

from postlaw.sending.v1 import sending_pb2 as pb
from postlaw.sending.v1.sending_pb2_grpc import SendingServiceStub
from postlaw_common.errors import PostlawError
from postlaw_common.opening import StartRefused, asked_as_operator
from postlaw_common.rpc.tls import TlsFilesWrong
from postlaw_common.settings import WrongSettings

if TYPE_CHECKING:
    from postlaw.sending.v1.sending_pb2_grpc import SendingServiceAsyncStub

T = TypeVar("T")

as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")


@click.group()
def sending() -> None:
    """Who holds which partition, what stands open there, and the end of a lost worker.

    \b
    Example:
      postlaw sending holdings
    Exit codes: 0 done, 1 sending cannot be asked, 2 wrong usage.
    """


@sending.command()
@as_json
def holdings(as_json: bool) -> None:
    """Every partition: its owner, its epoch, live batches, open claims, and recipients that a lost worker left open.

    \b
    Example:
      postlaw sending holdings
    Exit codes: 0 done, 1 sending cannot be asked, 2 wrong usage.
    """

    async def ask(stub: SendingServiceAsyncStub) -> pb.ListHoldingsResponse:
        return await stub.ListHoldings(pb.ListHoldingsRequest())

    for held in asked(ask).holdings:
        row = {
            "partition": held.partition,
            "owner": held.owner,
            "epoch": held.epoch,
            "generation": held.generation,
            "job_offset": held.job_offset,
            "single_offset": held.single_offset,
            "live_batches": held.live_batches,
            "open_claims": held.open_claims,
            "left_open": held.left_open,
            "left_open_by": list(held.left_open_by),
        }
        if as_json:
            click.echo(json.dumps(row))
        else:
            left = f"  {held.left_open} left open by {', '.join(held.left_open_by)}" if held.left_open else ""
            owner = held.owner or "nobody"
            click.echo(f"{held.partition:4d}  epoch {held.epoch}  {owner}  {held.live_batches} batches, {held.open_claims} claims{left}")


@sending.command()
@click.argument("worker")
@as_json
def attest(worker: str, as_json: bool) -> None:
    """Say that a worker's process has ended, sockets and all: its pod is gone, its machine is off.

    What it left open then no longer counts as under way, and opt-outs of those people are answered *stopped* again. Never say it
    of a process that may only be paused.

    \b
    Example:
      postlaw sending attest mail-7f9c-1-wrk_06d3v4m0p8
    Exit codes: 0 done, 1 sending cannot be asked, 2 wrong usage.
    """

    async def ask(stub: SendingServiceAsyncStub) -> pb.AttestWorkerEndResponse:
        return await stub.AttestWorkerEnd(pb.AttestWorkerEndRequest(worker_id=worker))

    cleared = asked(ask).cleared
    click.echo(json.dumps({"worker": worker, "cleared": cleared}) if as_json else f"{cleared} recipients no longer count as under way")


@sending.command("resolve-unknown")
@click.argument("campaign")
@as_json
def resolve_unknown(campaign: str, as_json: bool) -> None:
    """Have done what a campaign's policy says of recipients who may have got it or not, since a worker was lost.

    They stay as they are, or (`mail_unknown_again`) are mailed once more, through both gates. Attest the lost worker's end first.

    \b
    Example:
      postlaw sending resolve-unknown cmp_06d3v4m0p8
    Exit codes: 0 done, 1 sending cannot be asked, 2 wrong usage.
    """

    async def ask(stub: SendingServiceAsyncStub) -> pb.ResolveUnknownResponse:
        return await stub.ResolveUnknown(pb.ResolveUnknownRequest(campaign_id=campaign))

    done = asked(ask)
    if as_json:
        click.echo(json.dumps({"campaign": campaign, "unknown": done.unknown, "mailed_again": done.mailed_again}))
    else:
        click.echo(f"{done.mailed_again} are mailed again, {done.unknown} stay unknown")


@sending.command("held-returns")
@as_json
def held_returns(as_json: bool) -> None:
    """Providers whose hard bounces are held back: they had far more on one day than on those before.

    \b
    Example:
      postlaw sending held-returns
    Exit codes: 0 done, 1 sending cannot be asked, 2 wrong usage.
    """

    async def ask(stub: SendingServiceAsyncStub) -> pb.ListHeldReturnsResponse:
        return await stub.ListHeldReturns(pb.ListHeldReturnsRequest())

    for held in asked(ask).held:
        click.echo(json.dumps({"provider": held.provider, "mails": held.mails}) if as_json else f"{held.provider}  {held.mails} held back")


@sending.command("release-returns")
@click.argument("provider")
@as_json
def release_returns(provider: str, as_json: bool) -> None:
    """Say that a provider's hard bounces are true: those people are mailed no more, and what comes today is held back no more.

    \b
    Example:
      postlaw sending release-returns mail.example
    Exit codes: 0 done, 1 sending cannot be asked, 2 wrong usage.
    """

    async def ask(stub: SendingServiceAsyncStub) -> pb.ReleaseHeldReturnsResponse:
        return await stub.ReleaseHeldReturns(pb.ReleaseHeldReturnsRequest(provider=provider))

    released = asked(ask).released
    click.echo(json.dumps({"provider": provider, "released": released}) if as_json else f"{released} mails are acted on")


@sending.command()
@click.option("--repair", is_flag=True, help="Make analytics what the events say.")
@as_json
def reconcile(repair: bool, as_json: bool) -> None:
    """Count campaigns again from the events on the bus, and hold analytics and the ledger of settled batches against that.

    \b
    Example:
      postlaw sending reconcile
    Exit codes: 0 nothing differs, 1 sending cannot be asked, 2 wrong usage, 3 something differs.
    """

    async def ask(stub: SendingServiceAsyncStub) -> pb.ReconcileAnalyticsResponse:
        return await stub.ReconcileAnalytics(pb.ReconcileAnalyticsRequest(repair=repair), timeout=600.0)

    answer = asked(ask)
    for one in answer.differences:
        where = "ledger" if one.ledger else "analytics"
        row = {"campaign_id": one.campaign_id, "figure": one.figure, "events": one.events, where: one.found}
        click.echo(json.dumps(row) if as_json else f"{one.campaign_id}  {one.figure}: {one.events} by the events, {one.found} in {where}")
    if not as_json:
        click.echo(f"{answer.campaigns} campaigns looked at, {len(answer.differences)} differences")
    if answer.differences:
        sys.exit(3)


@sending.command("held-sending")
@as_json
def held_sending(as_json: bool) -> None:
    """Campaigns and customers that send nothing more: too much of what they sent came back, or was complained about.

    \b
    Example:
      postlaw sending held-sending
    Exit codes: 0 done, 1 sending cannot be asked, 2 wrong usage.
    """

    async def ask(stub: SendingServiceAsyncStub) -> pb.ListHeldSendingResponse:
        return await stub.ListHeldSending(pb.ListHeldSendingRequest())

    for held in asked(ask).held:
        row = {"tenant_id": held.tenant_id, "id": held.id, "because": held.because}
        click.echo(json.dumps(row) if as_json else f"{held.id}  of {held.tenant_id}  {held.because}")


@sending.command("release-sending")
@click.argument("id")
@as_json
def release_sending(id: str, as_json: bool) -> None:
    """Say that a campaign, or all that a customer sends, may go on. Nothing resumes by itself, and its rates count from here on.

    \b
    Example:
      postlaw sending release-sending cmp_01m84s6memev1rrrm3cf6xsn86
    Exit codes: 0 done, 1 sending cannot be asked, 2 wrong usage.
    """

    async def ask(stub: SendingServiceAsyncStub) -> pb.ReleaseHeldSendingResponse:
        return await stub.ReleaseHeldSending(pb.ReleaseHeldSendingRequest(id=id))

    asked(ask)
    click.echo(json.dumps({"released": id}) if as_json else f"{id} may be sent again")


def asked(ask: Callable[[SendingServiceAsyncStub], Awaitable[T]]) -> T:
    try:
        return asyncio.run(asked_as_operator("sending", lambda channel: ask(SendingServiceStub(channel))))
    except (PostlawError, WrongSettings, StartRefused, TlsFilesWrong) as wrong:
        click.echo(f"sending cannot be asked: {wrong}", err=True)
        sys.exit(1)
