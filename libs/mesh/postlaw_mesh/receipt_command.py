"""`postlaw receipt`: what whoever holds a consent receipt can find out without us."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any, TextIO

import click

from postlaw_audit.key_chain import KeyChain, key_chain, known_key
from postlaw_audit.notes import NoteInvalid
from postlaw_audit.sources import PREFIX, VERIFIER_KEY, opened
from postlaw_audit.witness_policy import parse_policy
from postlaw_common.blobs import BlobsUnavailable, open_blobs
from postlaw_common.settings import PlatformSettings, WrongSettings, load
from postlaw_consent.receipt_keys import KEYS_BLOB
from postlaw_consent.receipt_signing import keys_of
from postlaw_mesh.receipt_verifying import LOG, NotVerified, Unreadable, Verified, read_receipt, verify_receipt

_UNWITNESSED = "unwitnessed: no outside cosignature that counts stands under the checkpoint, so another log could be shown to others"


class _NoKey(Exception):
    """A key that is needed cannot be had."""


@click.group()
def receipt() -> None:
    """Receipts of consents and withdrawals.

    \b
    Example:
      postlaw receipt verify receipt.json
    Exit codes: 0 verified, 1 not verified, 2 it or a key cannot be read.
    """


@receipt.command()
@click.argument("file", type=click.File(encoding="utf-8"))
@click.option(
    "--log-key", help="The log's verifier key (GET /v1/audit/checkpoint), or a file of it; the receipt must have the log's proof."
)
@click.option("--receipt-key", help="The receipts' keys as a JWK Set (GET /v1/receipt-keys), or a file of it.")
@click.option("--witnesses", type=click.File(), help="A witness policy: whose cosignatures under the log's checkpoint count.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def verify(file: TextIO, log_key: str | None, receipt_key: str | None, witnesses: TextIO | None, as_json: bool) -> None:
    """The receipt's signature, the log's checkpoint and proof, and each statement against the event in the log. Asks no service.

    Keys that are not given are read beside the log, in POSTLAW_BLOBS: that is for the installation's own use. Others get both keys
    once, and keep them: a key that came with a receipt proves nothing. Where the log's key was followed by another one since, the receipt
    has the notes of it, which both have signed.

    \b
    Example:
      postlaw receipt verify receipt.json --receipt-key receipt-keys.json --log-key log.vkey
    Exit codes: 0 verified, 1 not verified (the first thing that is wrong is named), 2 the receipt or a key cannot be read.
    """
    try:
        told = read_receipt(file.read())
        keys = keys_of(_text(receipt_key) if receipt_key else _beside_the_log(KEYS_BLOB, "--receipt-key"))
        if log_key and LOG not in told:
            raise NotVerified("log: the receipt has no proof of the log; ask for it again, the log has an event within seconds")
        found = verify_receipt(
            told,
            keys,
            lambda: known_key(_text(log_key)) if log_key else _chain_beside_the_log(),
            parse_policy(witnesses.read()) if witnesses else None,
        )
    except NotVerified as wrong:
        click.echo(json.dumps({"verified": False, "reason": str(wrong)}) if as_json else f"NOT VERIFIED: {wrong}")
        sys.exit(1)
    except (Unreadable, UnicodeDecodeError, NoteInvalid, ValueError, _NoKey, OSError) as unreadable:
        click.echo(f"cannot be read: {unreadable}", err=True)
        sys.exit(2)
    click.echo(json.dumps(_as_json(found)) if as_json else _in_words(found))


def _as_json(found: Verified) -> dict[str, Any]:
    inclusion = found.inclusion
    log = None
    if inclusion is not None:
        place = {"origin": inclusion.origin, "index": inclusion.index, "tree_size": inclusion.tree_size}
        log = {**place, "witnessed": bool(inclusion.witnesses)}
    act = {"event_id": found.event_id, "state": found.state, "time": found.time, "scope": found.scope, "controller": found.controller}
    return {"verified": True, **act, "key_id": found.key_id, "log": log}


def _in_words(found: Verified) -> str:
    lines = [
        f"verified: {found.event_id}, {found.state} at {found.time}, of {found.scope} at {found.controller}",
        f"signed by the key {found.key_id}",
    ]
    if found.inclusion is None:
        lines.append("not shown to be in the log: the receipt has no proof, so it is as good as the word of whoever holds that key")
    else:
        lines.append(f"in the log {found.inclusion.origin}: entry {found.inclusion.index} of {found.inclusion.tree_size}")
        lines.append(f"witnessed by {', '.join(found.inclusion.witnesses)}" if found.inclusion.witnesses else _UNWITNESSED)
    return "\n".join(lines)


def _text(given: str) -> str:
    """What was given, or what the file of that name holds."""
    return given if given.lstrip().startswith("{") or not Path(given).is_file() else Path(given).read_text()


def _chain_beside_the_log() -> KeyChain:
    """Every key that the log has had: an older one's receipt is of an entry from before."""
    known = _beside_the_log(PREFIX + VERIFIER_KEY, "--log-key")

    async def read(where: str, state: str) -> KeyChain:
        async with opened(where, state) as files:
            return await key_chain(files, known)

    settings = load(PlatformSettings)
    return asyncio.run(read(str(settings.blobs), str(settings.state)))


def _beside_the_log(key: str, option: str) -> str:
    try:
        settings = load(PlatformSettings)
        data = asyncio.run(_blob(settings.blobs, str(settings.state), key))
    except (BlobsUnavailable, WrongSettings) as away:
        raise _NoKey(f"{away}; give {option}") from away
    if data is None:
        raise _NoKey(f"there is no {key} in this installation's blobs; give {option}")
    return data.decode()


async def _blob(url: str, state: str, key: str) -> bytes | None:
    blobs = open_blobs(url, state=state)
    await blobs.start()
    try:
        return await blobs.get(key)
    finally:
        await blobs.close()
