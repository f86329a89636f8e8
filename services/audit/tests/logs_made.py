"""Small logs written without a writer, their keys, and witnesses' cosignatures under their checkpoints."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from postlaw_audit.domain.tiles import GrowingTree
from postlaw_audit.entries import entries_of
from postlaw_audit.key_chain import succession, succession_path
from postlaw_audit.notes import Checkpoint, key_hash, parse_note, sign, signature_line, verifier_key
from postlaw_audit.sources import CHECKPOINT, VERIFIER_KEY
from postlaw_audit.witness_policy import COSIGNATURE, cosigned_text
from postlaw_common.bus import Received

ORIGIN, TOPIC = "test.example/log", "postlaw.consent.events.v1"
KEYS = [Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2, 3)]
VERIFIERS = [verifier_key(ORIGIN, key.public_key().public_bytes_raw()) for key in KEYS]
WITNESS_KEYS = [Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (11, 12)]
WITNESSES = ("one.example", "two.example")
POLICY = "".join(
    f"witness {name[:3]} {verifier_key(name, key.public_key().public_bytes_raw(), COSIGNATURE)}\n"
    for name, key in zip(WITNESSES, WITNESS_KEYS, strict=True)
)


def entries(count: int, *, size: int = 10) -> list[bytes]:
    """Records of two partitions, taken in turn."""
    records = [Received(TOPIC, n % 2, n // 2, bytes(size), None, {"ce_id": b"evt_%d" % n}, 0) for n in range(count)]
    return [entry for record in records for _, entry in entries_of(record)]


def write_log(folder: Path, found: Sequence[bytes], *, keys: Sequence[Ed25519PrivateKey] = KEYS[:1], only: str = "") -> str:
    """A log of these entries, every hash and signature in order; its note. `only`: of the tiles, those whose path begins so."""
    tree = GrowingTree()
    for tile in [*tree.append(found), *tree.partial_tiles()]:
        if tile.path.startswith(only):
            write(folder / tile.path, tile.data)
    note = sign(Checkpoint(ORIGIN, tree.size, tree.root()), *keys)
    write(folder / CHECKPOINT, note.encode())
    write(folder / VERIFIER_KEY, VERIFIERS[KEYS.index(keys[-1])].encode())
    return note


def write_successions(folder: Path) -> None:
    for number, (old, new) in enumerate(itertools.pairwise(KEYS), 2):
        write(folder / succession_path(number), succession(ORIGIN, old, new).encode())


def cosigned(note: str, *witnesses: int, time: int = 1_764_000_000) -> str:
    """The note with the cosignatures of these witnesses, by number, at POSIX seconds `time`."""
    text = parse_note(note).text
    for number in witnesses:
        name, key = WITNESSES[number], WITNESS_KEYS[number]
        signature = time.to_bytes(8, "big") + key.sign(cosigned_text(text, time))
        note += signature_line(name, key_hash(name, key.public_key().public_bytes_raw(), COSIGNATURE), signature)
    return note


def write(file: Path, data: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
