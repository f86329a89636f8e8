"""Checks a consent receipt from its own text and two public keys, with no service running.

Its signature says that this installation gave it. The log's proof says more: that the event's own bytes stand in the log, from which every
statement about the event is made anew here and compared, so that not even whoever holds the receipts' key can state another one.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from google.protobuf.message import DecodeError

from postlaw.audit.v1 import audit_pb2
from postlaw_audit.domain.merkle import ProofInvalid, leaf_hash, verify_inclusion
from postlaw_audit.key_chain import KeyChain
from postlaw_audit.notes import NoteInvalid, parse_note
from postlaw_audit.witness_policy import COSIGNATURE_LENGTH, Policy, witnesses_of
from postlaw_common.errors import Invalid
from postlaw_consent.domain.receipt import SCHEMA, VERSION, beside_of, receipt_of
from postlaw_consent.receipt_signing import SIGNATURE, NotSigned, verify
from postlaw_consent.wire import decode

LOG = "log"
_LOG_MEMBERS = {"entry", "index", "tree_size", "path", "checkpoint"}
_LOG_MAY_HAVE = {"witnesses", "keys"}
_EVENT = "postlaw.consent.ConsentEvent"


class Unreadable(ValueError):
    """That is no JSON object as receipts are."""


class NotVerified(Exception):
    """The message names the first thing that is wrong, by its place in the receipt."""


@dataclass(frozen=True, slots=True)
class Inclusion:
    """Where the event stands in the log. `witnesses`: who has cosigned its checkpoint, where they are enough; else empty."""

    origin: str
    index: int
    tree_size: int
    witnesses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verified:
    """`inclusion` None: the receipt has no proof, so it is as good as the word of whoever holds the receipts' key."""

    event_id: str
    state: str
    time: str
    scope: str
    controller: str
    key_id: str
    inclusion: Inclusion | None


def read_receipt(text: str) -> dict[str, Any]:
    """The receipt, however its JSON is laid out. Raises Unreadable for names that occur twice, fractions, and what is no object."""
    try:
        value = json.loads(text, object_pairs_hook=_once, parse_float=_refused, parse_constant=_refused)
    except (ValueError, RecursionError) as wrong:
        raise Unreadable(f"that is no receipt: {wrong}") from wrong
    if not isinstance(value, dict):
        raise Unreadable("that is no receipt: a receipt is a JSON object")
    return cast("dict[str, Any]", value)


def verify_receipt(
    receipt: Mapping[str, Any], keys: Mapping[str, Ed25519PublicKey], log_keys: Callable[[], KeyChain], policy: Policy | None = None
) -> Verified:
    """Signature, format, the log's checkpoint, the event's place under it, and each statement against the event. `log_keys`: those of the
    log that are known, asked for only where there is a proof; what followed them is found by the receipt's own notes. `policy`: whose
    cosignatures count. Raises NotVerified, and what `log_keys` raises."""
    try:
        key_id = verify(receipt, keys)
    except NotSigned as wrong:
        raise NotVerified(str(wrong)) from wrong
    except (ValueError, RecursionError) as wrong:
        raise NotVerified(f"the receipt holds what none holds: {wrong}") from wrong
    try:
        record = receipt["record"]
        if (receipt["version"], record["schema_version"]) != (VERSION, SCHEMA):
            raise NotVerified(f"version: this program knows {VERSION} with {SCHEMA} alone")
        inclusion = _in_log(dict(receipt), log_keys, policy or Policy()) if LOG in receipt else None
        event = record["events"][0]
        controller = record["party_identification"][0]
        name = controller.get("party_name", controller["party_id"])
        return Verified(receipt["consentReceiptID"], event["event_state"], event["event_time"], event["scope"], name, key_id, inclusion)
    except (AttributeError, IndexError, KeyError, TypeError) as missing:
        raise NotVerified(f"the receipt has not the form of one: {missing}") from missing


def _in_log(receipt: dict[str, Any], log_keys: Callable[[], KeyChain], policy: Policy) -> Inclusion:
    proof = receipt.pop(LOG)
    receipt.pop(SIGNATURE)
    if not _LOG_MEMBERS <= set(proof) <= _LOG_MEMBERS | _LOG_MAY_HAVE:
        raise NotVerified(f"{LOG}: has not the members {', '.join(sorted(_LOG_MEMBERS))}")
    known = log_keys()
    try:
        chain = known.followed(proof.get("keys", ()))
    except (NoteInvalid, AttributeError, TypeError) as wrong:
        raise NotVerified(f"{LOG}.keys: {wrong}") from wrong
    try:
        checkpoint = chain.open_earlier(proof["checkpoint"])
        note = parse_note(proof["checkpoint"])
        witnesses = tuple(witnesses_of(proof["checkpoint"], policy))
    except NoteInvalid as wrong:
        raise NotVerified(f"{LOG}.checkpoint: {wrong}") from wrong
    cosigned = any(len(raw) == COSIGNATURE_LENGTH for _, raw in note.signatures)
    if proof.get("witnesses", "unwitnessed") not in ("unwitnessed", *(["cosigned"] if cosigned else [])):
        raise NotVerified(f"{LOG}.witnesses: nobody outside has cosigned the checkpoint")
    if proof["tree_size"] != checkpoint.size:
        raise NotVerified(f"{LOG}.tree_size: the checkpoint is at size {checkpoint.size}")
    try:
        data = base64.b64decode(proof["entry"], validate=True)
        path = [base64.b64decode(step, validate=True) for step in proof["path"]]
        verify_inclusion(proof["index"], checkpoint.size, leaf_hash(data), path, checkpoint.root)
    except ProofInvalid as wrong:
        raise NotVerified(f"{LOG}.path: the entry does not stand at its index below the checkpoint: {wrong}") from wrong
    except ValueError as wrong:
        raise NotVerified(f"{LOG}: not in base 64") from wrong
    _compare(data, receipt)
    return Inclusion(checkpoint.origin, proof["index"], checkpoint.size, witnesses)


def _compare(data: bytes, receipt: Mapping[str, Any]) -> None:
    """Every statement about the event, against the event's own bytes in the log's entry."""
    try:
        entry = audit_pb2.Entry.FromString(data)
        event = decode(entry.data)
    except (DecodeError, Invalid, KeyError, ValueError) as wrong:
        raise NotVerified(f"{LOG}.entry: it holds no consent event") from wrong
    beside = beside_of(dict(receipt))
    if (entry.type, entry.event_id, entry.tenant_id) != (_EVENT, event.event_id, event.tenant_id):
        raise NotVerified(f"{LOG}.entry: it holds no consent event of its own id and customer")
    if beside.controller.tenant_id != event.tenant_id:
        raise NotVerified("record.party_identification[0].party_id: the event is another customer's")
    if (place := _difference(receipt_of(event, beside), dict(receipt))) is not None:
        raise NotVerified(f"{place}: the event in the log says otherwise")


def _difference(wanted: Any, found: Any, at: str = "") -> str | None:
    """Where the two first differ; None where they do not."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        wants, has = cast("dict[str, Any]", wanted), cast("dict[str, Any]", found)
        places = ((f"{at}.{name}" if at else name, name) for name in sorted(wants.keys() | has.keys()))
        return next((where for place, name in places if (where := _of(wants, has, name, place)) is not None), None)
    if isinstance(wanted, list) and isinstance(found, list) and len(cast("list[Any]", wanted)) == len(cast("list[Any]", found)):
        pairs = enumerate(zip(cast("list[Any]", wanted), cast("list[Any]", found), strict=True))
        return next((where for place, pair in pairs if (where := _difference(*pair, f"{at}[{place}]")) is not None), None)
    return None if type(wanted) is type(found) and wanted == found else at


def _of(wanted: dict[str, Any], found: dict[str, Any], name: str, place: str) -> str | None:
    return _difference(wanted[name], found[name], place) if name in wanted and name in found else place


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name occurs twice in one object")
    return found


def _refused(text: str) -> Any:
    raise ValueError(f"{text} is no whole number")
