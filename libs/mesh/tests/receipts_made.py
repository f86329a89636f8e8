"""Receipts made by hand, of fixed keys and a small log, for tests of what checks them."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from postlaw.audit.v1 import audit_pb2
from postlaw_audit.domain.merkle import leaf_hash, node_hash
from postlaw_audit.domain.proofs import inclusion_ranges, split
from postlaw_audit.notes import Checkpoint, verifier_key
from postlaw_audit.notes import sign as sign_note
from postlaw_consent.domain.event import Actor, ConsentEvent
from postlaw_consent.domain.particulars import Particulars
from postlaw_consent.domain.receipt import Beside, Controller, receipt_of
from postlaw_consent.domain.scope import Scope
from postlaw_consent.receipt_signing import SIGNATURE, jwk_of, key_id, sign
from postlaw_consent.wire import encode

RECEIPT_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
LOG_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32, 64)))
ORIGIN = "test.example/log"
KEYS = {key_id(RECEIPT_KEY.public_key()): RECEIPT_KEY.public_key()}
LOG_VKEY = verifier_key(ORIGIN, LOG_KEY.public_key().public_bytes_raw())
OTHERS = (b"another entry", b"and another", b"the last")

EVENT = ConsentEvent(
    event_id="evt_06d3k5yznp1w9r8g7f6e5d4c3b",
    tenant_id="ten_1",
    address_key=b"\x01" + bytes(range(32)),
    version=2,
    kind="given",
    scope=Scope("list", "lst_1"),
    route="api",
    at_us=1_790_000_000_123_456,
    recorded_at_us=1_790_000_001_000_000,
    actor=Actor("api_key", "key_1"),
    source="https://acme.example/join",
    notice_hash=bytes(range(32)),
    sealed_proof_evidence=b"sealed",
    particulars=Particulars(
        held=("affirmative_act", "purpose"), territories=("DE", "AT"), language="de", method="web form", purposes=("Our newsletter",)
    ),
)  # fmt: skip
BESIDE = Beside(Controller("ten_1", "Acme Ltd", "1 High Street, London", "GB", "post@acme.example"), "de", "Newsletter")

GOLDEN = Path(__file__).parent / "golden" / "receipt.json"
JWKS = json.dumps({"keys": [jwk_of(key) for key in KEYS.values()]})
Place = tuple[str | int, ...]


def entry_of(event: ConsentEvent, data: bytes = b"") -> bytes:
    return audit_pb2.Entry(
        topic="postlaw.consent.events.v1", partition=3, offset=7, event_id=event.event_id, type="postlaw.consent.ConsentEvent",
        tenant_id=event.tenant_id, data=data or encode(event),
    ).SerializeToString(deterministic=True)  # fmt: skip


def proof_of(entry: bytes, others: Sequence[bytes] = OTHERS) -> dict[str, Any]:
    leaves = [leaf_hash(one) for one in (*others[:2], entry, *others[2:])]
    checkpoint = Checkpoint(ORIGIN, len(leaves), _root(leaves))
    return {
        "entry": base64.b64encode(entry).decode(),
        "index": 2,
        "tree_size": len(leaves),
        "path": [base64.b64encode(_root(leaves[start:end])).decode() for start, end in inclusion_ranges(2, len(leaves))],
        "checkpoint": sign_note(checkpoint, LOG_KEY),
        "witnesses": "unwitnessed",
    }


def _root(leaves: Sequence[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    middle = split(0, len(leaves))
    return node_hash(_root(leaves[:middle]), _root(leaves[middle:]))


def signed(receipt: Mapping[str, Any], key: Ed25519PrivateKey = RECEIPT_KEY) -> dict[str, Any]:
    bare = {name: value for name, value in receipt.items() if name != SIGNATURE}
    return {**bare, SIGNATURE: sign(bare, key)}


def made(event: ConsentEvent = EVENT, beside: Beside = BESIDE) -> dict[str, Any]:
    """A whole receipt, with the log's proof."""
    return signed({**receipt_of(event, beside), "log": proof_of(entry_of(event))})


def changed(receipt: dict[str, Any], place: Place) -> dict[str, Any]:
    """Another value of the same kind in one place."""
    other = copy.deepcopy(receipt)
    holder: Any = other
    for step in place[:-1]:
        holder = holder[step]
    before = holder[place[-1]]
    holder[place[-1]] = (not before) if isinstance(before, bool) else before + 1 if isinstance(before, int) else "x" + before
    return other
