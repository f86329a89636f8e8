"""`postlaw report`: having a compliance report made, getting its files, and checking them without anybody's help."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any, TextIO

import click

from postlaw_audit.key_chain import key_chain, known_key
from postlaw_audit.notes import NoteInvalid, parse_checkpoint
from postlaw_audit.reports.kinds import KINDS
from postlaw_audit.reports.verifying import NOTE, ReportInvalid, Verified, verify_report
from postlaw_audit.sources import CHECKPOINT, LogUnreadable, key_text, opened, verifier_key
from postlaw_audit.verifying import LogInvalid, bundles
from postlaw_audit.witness_policy import PolicyInvalid, parse_policy
from postlaw_common.blobs import BlobsUnavailable
from postlaw_common.settings import PlatformSettings, WrongSettings, load
from postlaw_mesh.over_rest import REFUSED, asked, done, in_path, listed, over_rest
from postlaw_mesh.rest_client import RestClient
from postlaw_mesh.sub_processors_command import sub_processors

_PATH = "/v1/reports"
_UNREADABLE = (BlobsUnavailable, LogUnreadable, LogInvalid, WrongSettings, OSError, UnicodeDecodeError)


@click.group()
def report() -> None:
    """Compliance reports, each a query of the audit log below one checkpoint.

    \b
    Example:
      postlaw report make opt_outs --to reports/
    Exit codes: 0 done, 1 the API cannot be asked or refuses, 2 wrong usage; `verify` has others.
    """


report.add_command(sub_processors)


@report.command()
@click.argument("kind", type=click.Choice(sorted(KINDS)))
@click.option("--since", help="From when on, RFC 3339. Default: thirty days before --until.")
@click.option("--until", help="Before when. Default: now.")
@click.option("--seed", help="Of the sample, to draw one again. Default: one is made, and printed.")
@click.option("--sample-size", type=click.IntRange(1, 200), help="Default: 25.")
@click.option("--to", type=click.Path(file_okay=False, path_type=Path), help="A directory for its files.")
@over_rest
def make(
    kind: str,
    since: str | None,
    until: str | None,
    seed: str | None,
    sample_size: int | None,
    to: Path | None,
    url: str,
    key_file: TextIO | None,
    as_json: bool,
) -> None:
    """Have a report made, wait for it, and with --to get its files.

    \b
    Example:
      postlaw report make api_keys --to reports/ --json
    Exit codes: 0 done, 1 the API cannot be asked or refuses, 2 wrong usage, 3 the report failed or was cancelled.
    """
    wanted = {"kind": kind, "since": since, "until": until, "seed": seed, "sample_size": sample_size}

    async def ask(api: RestClient) -> dict[str, Any]:
        made = await api.call("POST", _PATH, json={name: value for name, value in wanted.items() if value is not None})
        while made["state"] in ("queued", "running"):
            await asyncio.sleep(0.2)
            made = await api.call("GET", f"{_PATH}/{made['report_id']}")
        if to is not None and made["state"] == "done":
            await _get(api, made, to)
        return made

    made = asked(url, key_file, ask)
    _say(made, as_json)
    if made["state"] != "done":
        sys.exit(REFUSED)


@report.command("list")
@over_rest
def list_reports(url: str, key_file: TextIO | None, as_json: bool) -> None:
    """All reports, the oldest first; a `daily` one is made of each day.

    \b
    Example:
      postlaw report list --json
    Exit codes: 0 done, 1 the API cannot be asked or refuses, 2 wrong usage.
    """
    for one in listed(url, key_file, _PATH, "reports"):
        _say(one, as_json)


@report.command()
@click.argument("report_id")
@click.option("--to", type=click.Path(file_okay=False, path_type=Path), help="A directory for its files.")
@over_rest
def get(report_id: str, to: Path | None, url: str, key_file: TextIO | None, as_json: bool) -> None:
    """How far a report is; with --to its files, once it is done.

    \b
    Example:
      postlaw report get rep_01m84s6memev1rrrm3cf6xsn86 --to reports/
    Exit codes: 0 done, 1 the API cannot be asked or refuses, 2 wrong usage.
    """

    async def ask(api: RestClient) -> dict[str, Any]:
        found = await api.call("GET", f"{_PATH}/{in_path(report_id)}")
        if to is not None:
            await _get(api, found, to)
        return found

    _say(asked(url, key_file, ask), as_json)


@report.command()
@click.argument("report_id")
@over_rest
def cancel(report_id: str, url: str, key_file: TextIO | None, as_json: bool) -> None:
    """Stop making a report.

    \b
    Example:
      postlaw report cancel rep_01m84s6memev1rrrm3cf6xsn86
    Exit codes: 0 done, 1 the API cannot be asked or refuses, 2 wrong usage.
    """
    _say(done(url, key_file, _PATH + "/{}/cancel", report_id), as_json)


@report.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--key", help="The log's verifier key (GET /v1/audit/checkpoint), or a file of it. Default: what lies beside the log.")
@click.option("--witnesses", "policy", type=click.File(), help="A witness policy: whose cosignatures under the checkpoint count.")
@click.option("--log", "at", help="The log's files, as `audit verify` takes them: the report is then made again from its entries.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def verify(directory: Path, key: str | None, policy: TextIO | None, at: str | None, as_json: bool) -> None:
    """The signature, each file's hash, the control totals, the sample, the proofs; with --log every line. Asks no service.

    DIRECTORY holds the files of one report, as --to writes them. Where another key of the log followed the one that is
    known, a report that was made since has the notes of it; one of before it is verified by the key of its day, or with --log.

    \b
    Example:
      postlaw report verify reports/rep_01m84s6memev1rrrm3cf6xsn86 --key log.vkey
    Exit codes: 0 verified, 1 not verified (the first thing that is wrong is named), 2 wrong usage, 3 something cannot be read.
    """
    try:
        files = {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}
        found = asyncio.run(_verify(files, key_text(key), policy.read() if policy else None, at))
    except PolicyInvalid as wrong:
        raise click.UsageError(str(wrong)) from wrong
    except (ReportInvalid, NoteInvalid) as wrong:
        click.echo(json.dumps({"verified": False, "reason": str(wrong)}) if as_json else f"NOT VERIFIED: {wrong}")
        sys.exit(1)
    except _UNREADABLE as unreadable:
        click.echo(f"cannot be read: {unreadable}", err=True)
        sys.exit(REFUSED)
    click.echo(json.dumps(_verified_json(found)) if as_json else _verified(found))


async def _get(api: RestClient, told: dict[str, Any], to: Path) -> None:
    """Its files and its note, in a directory of its own."""
    directory = to / told["report_id"]
    directory.mkdir(parents=True, exist_ok=True)
    for link in told.get("links", []):
        (directory / f"report.{link.rpartition('/')[2]}").write_bytes(await api.download(link))
    (directory / NOTE).write_text(told["note"])


async def _verify(files: dict[str, bytes], key: str | None, policy: str | None, at: str | None) -> Verified:
    witnesses = parse_policy(policy) if policy else None
    if key and at is None:
        return await verify_report(files, known_key(key), witnesses)
    settings = load(PlatformSettings)
    where = at or str(settings.blobs)
    async with opened(where, str(settings.state)) as log:
        keys, note = await key_chain(log, await verifier_key(log, where, key)), await log.get(CHECKPOINT)
        if note is None:
            raise LogUnreadable(f"{where} has no {CHECKPOINT}")
        entries = bundles(log, parse_checkpoint(note.decode()).size) if at else None
        return await verify_report(files, keys, witnesses, entries)


def _say(told: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(told))
        return
    standing = "unwitnessed" if told.get("unwitnessed") else "witnessed"
    checkpoint = f"below {told['checkpoint']['size']} entries, {standing}"
    click.echo(
        f"{told['report_id']}  {told['kind']}  {told['state']} {told.get('percent', 0)} %  {told.get('rows', 0)} lines  {checkpoint}"
    )
    if why := told.get("failure") or told.get("printed"):
        click.echo(f"  {why}")


def _verified_json(found: Verified) -> dict[str, Any]:
    return {
        "verified": True,
        "report_id": found.report_id,
        "kind": found.kind,
        "rows": found.rows,
        "size": found.checkpoint.size,
        "files": list(found.files),
        "witnesses": list(found.witnesses),
        "made_again": found.made_again,
    }


def _verified(found: Verified) -> str:
    lines = [f"verified: {found.report_id}, {found.kind}, {found.rows} lines; {', '.join(found.files)}"]
    lines.append(f"below {found.checkpoint.size} entries of {found.checkpoint.origin}, root {found.checkpoint.root.hex()}")
    lines.append(f"witnessed by {', '.join(found.witnesses)}" if found.witnesses else "unwitnessed: no outside cosignature that counts")
    again = (
        "every line was made again from the log's entries" if found.made_again else "whether a line is missing only the log can say: --log"
    )
    return "\n".join([*lines, again])
