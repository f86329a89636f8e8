"""`postlaw audit`: where the log lies, and whether it is whole, from its files alone."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, TextIO

import click

from postlaw_audit.notes import NoteInvalid, parse_verifier_key
from postlaw_audit.ocsf.exporting import exported
from postlaw_audit.search.commands import index
from postlaw_audit.seen import SeenCheckpoints
from postlaw_audit.sources import PREFIX, VERIFIER_KEY, LogUnreadable, key_text, opened, verifier_key
from postlaw_audit.verifying import LogInvalid, Verified, verify_log
from postlaw_audit.witness_policy import Policy, PolicyInvalid, parse_policy
from postlaw_common.blobs import BlobsUnavailable
from postlaw_common.settings import PlatformSettings, WrongSettings, load

UNREADABLE = (BlobsUnavailable, LogUnreadable, WrongSettings, OSError)


@click.group()
def audit() -> None:
    """The verifiable log of everything.

    \b
    Example:
      postlaw audit verify
    Exit codes: 0 the log is whole, 1 it is not, 2 wrong usage, 3 it cannot be read.
    """


audit.add_command(index)


@audit.command()
@click.option("--state", help="The state directory. Default: POSTLAW_STATE, .state")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: path, public_key.")
def where(state: str | None, as_json: bool) -> None:
    """Where the log lies, and the key that verifies it, in note format: what other people's verifiers ask for.

    \b
    Example:
      postlaw audit where --json
    Exit codes: 0 done, 2 wrong usage, 3 there is no log yet, or it cannot be read.
    """
    try:
        settings = load(PlatformSettings)
        at, directory = str(settings.blobs), state or str(settings.state)
        key = asyncio.run(_key(at, directory))
    except UNREADABLE as unreadable:
        _unreadable(unreadable)
    if key is None:
        click.echo("there is no log yet: audit makes its key when it first starts", err=True)
        sys.exit(3)
    path = str(Path(directory).resolve() / "blobs" / "objects" / PREFIX.rstrip("/")) if at.startswith("file:") else _in_bucket(at)
    click.echo(json.dumps({"path": path, "public_key": key}) if as_json else f"{path}\n{key}")


@audit.command()
@click.argument("log", required=False)
@click.option(
    "--ocsf", is_flag=True, required=True, help="As events of the Open Cybersecurity Schema Framework 1.3.0, one JSON object a line."
)
@click.option("--state", help="The state directory. Default: POSTLAW_STATE, .state")
@click.option("--key", help="A key of the log in note format, or a file of it; without one, the key that lies beside the log.")
@click.option("--tenant", default="", help="Of this customer alone.")
@click.option("--since", type=click.IntRange(min=0), default=0, help="From this entry on: one more than the last one that was exported.")
def export(log: str | None, ocsf: bool, state: str | None, key: str | None, tenant: str, since: int) -> None:
    """The log for other people's security tools, as docs/ocsf.md maps it. Nothing in it is opened: personal data stays sealed.

    LOG is as for `verify`. All of it is read and held against the signed checkpoint, also below --since.

    \b
    Example:
      postlaw audit export --ocsf > events.jsonl
    Exit codes: 0 done, 1 the log is not whole (what was written is then not to be relied on), 2 wrong usage, 3 it cannot be read.
    """
    try:
        settings = load(PlatformSettings)
        asyncio.run(_export(log or str(settings.blobs), state or str(settings.state), key_text(key), tenant, since))
    except (LogInvalid, NoteInvalid) as wrong:
        click.echo(f"NOT VALID: {wrong}", err=True)
        sys.exit(1)
    except UNREADABLE as unreadable:
        _unreadable(unreadable)


async def _export(at: str, state: str, key: str | None, tenant_id: str, since: int) -> None:
    async with (
        opened(at, state) as files,
        aclosing(exported(files, await verifier_key(files, at, key), tenant_id=tenant_id, since=since)) as events,
    ):
        async for event in events:
            click.echo(json.dumps(event))


def _in_bucket(url: str) -> str:
    bucket, mark, endpoint = url.partition("?")
    return f"{bucket.rstrip('/')}/{PREFIX.rstrip('/')}{mark}{endpoint}"


async def _key(at: str, state: str) -> str | None:
    async with opened(at, state) as files:
        key = await files.get(VERIFIER_KEY)
        return key.decode().strip() if key is not None else None


@audit.command()
@click.argument("log", required=False)
@click.option("--state", help="The state directory, which also keeps what was last seen of each log. Default: POSTLAW_STATE, .state")
@click.option("--key", help="A key of the log in note format, or a file of it; without one, the key that lies beside the log.")
@click.option(
    "--earlier",
    type=click.File(encoding="utf-8"),
    help="A checkpoint kept from before, as it was published, instead of the one that was last seen here, which then stays.",
)
@click.option(
    "--witnesses", "policy", type=click.File(), help="A witness policy (tlog-policy): whose cosignatures are checked, how many are enough."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def verify(log: str | None, state: str | None, key: str | None, earlier: TextIO | None, policy: TextIO | None, as_json: bool) -> None:
    """Signature of the checkpoint, hash of every entry, its place on the bus, every tile, the root, cosignatures.

    LOG is a folder, a URL (http, https), or s3://bucket/prefix?endpoint=…; without it, this installation's own. No service is asked. The
    checkpoint that was found valid here last is kept below --state: a log that does not continue it was cut back or written anew.

    \b
    Example:
      postlaw audit verify --json
      postlaw audit verify https://mail.example.com/v1/audit/log --key log.vkey --witnesses witnesses.policy
    Exit codes: 0 the log is whole, 1 it is not (what does not fit is named), 2 wrong usage, 3 it cannot be read.
    """
    try:
        settings = load(PlatformSettings)
        directory = state or str(settings.state)
        witnesses = parse_policy(policy.read()) if policy else None
        given = key_text(key)
        seen = SeenCheckpoints(Path(directory) / "audit-seen")
        before = earlier.read() if earlier else None
        found, before = asyncio.run(_verify(log or str(settings.blobs), directory, given, before, seen, witnesses))
        # Compared with another checkpoint it may not continue the one that was seen, which then stays.
        if earlier is None or seen.of(found.checkpoint.origin) is None:
            seen.keep(found.checkpoint, found.note)
    except PolicyInvalid as wrong:
        raise click.UsageError(str(wrong)) from wrong
    except (LogInvalid, NoteInvalid) as wrong:
        click.echo(json.dumps({"valid": False, "reason": str(wrong)}) if as_json else f"NOT VALID: {wrong}")
        sys.exit(1)
    except UNREADABLE as unreadable:
        _unreadable(unreadable)
    click.echo(json.dumps(_as_json(found)) if as_json else _in_words(found, first=before is None, policy=witnesses))


def _unreadable(why: Exception) -> NoReturn:
    click.echo(f"the log cannot be read: {why}", err=True)
    sys.exit(3)


async def _verify(
    at: str, state: str, key: str | None, earlier: str | None, seen: SeenCheckpoints, policy: Policy | None
) -> tuple[Verified, str | None]:
    """What was found, and the checkpoint from before with which it was compared."""
    async with opened(at, state) as files:
        key = await verifier_key(files, at, key)
        origin, _ = parse_verifier_key(key)
        before = earlier if earlier is not None else seen.of(origin)
        return await verify_log(files, key, before, policy), before


def _as_json(found: Verified) -> dict[str, Any]:
    checkpoint, witnessed = found.checkpoint, found.witnessed
    return {
        "valid": True,
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": checkpoint.root.hex(),
        "key": found.key,
        "tiles": found.tiles,
        "generations": found.generations,
        "witnessed": {"size": witnessed.size, "by": dict(witnessed.by)} if witnessed else None,
    }


def _in_words(found: Verified, *, first: bool, policy: Policy | None) -> str:
    checkpoint = found.checkpoint
    lines = [f"valid: {checkpoint.size} entries of {checkpoint.origin}, {found.tiles} tiles, root {checkpoint.root.hex()}"]
    lines.append("first seen here: whether it was ever cut back is known from now on" if first else "it continues what was seen before")
    if found.generations:
        lines.append(f"restored: the topics began anew {found.generations} times; behind each such entry offsets come again")
    if found.witnessed:
        at = max(found.witnessed.by.values())
        names = ", ".join(sorted(found.witnessed.by))
        lines.append(f"witnessed: the first {found.witnessed.size} entries, by {names}, at {datetime.fromtimestamp(at, UTC):%F %T} UTC")
    elif policy is None:
        lines.append("unwitnessed: no outside cosignature was checked; --witnesses names whose to look for")
    else:
        lines.append("unwitnessed: no checkpoint has the cosignatures that the policy asks for")
    return "\n".join(lines)
