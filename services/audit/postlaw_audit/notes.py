"""Checkpoints as C2SP signed notes (tlog-checkpoint, signed-note), signed with Ed25519."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_ED25519 = b"\x01"


class NoteInvalid(ValueError):
    """The note is malformed, or nobody that we trust has signed it."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`origin` names the log; `root` is the Merkle root over `size` entries."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def key_hash(name: str, public_key: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + public_key).digest()[:4]


def verifier_key(name: str, public_key: bytes) -> str:
    """The key in note format, as other people's verifiers take it: `name+hash+key`."""
    return f"{name}+{key_hash(name, public_key).hex()}+{base64.b64encode(_ED25519 + public_key).decode()}"


def parse_verifier_key(text: str) -> tuple[str, bytes]:
    """(name, public key). Raises NoteInvalid."""
    try:
        name, hash, encoded = text.strip().split("+", 2)
        key = base64.b64decode(encoded, validate=True)
    except ValueError as wrong:
        raise NoteInvalid("a verifier key reads name+hash+key") from wrong
    if key[:1] != _ED25519 or len(key) != 33 or key_hash(name, key[1:]).hex() != hash:
        raise NoteInvalid("the verifier key is no Ed25519 key, or its hash is another's")
    return name, key[1:]


def sign(checkpoint: Checkpoint, key: Ed25519PrivateKey) -> str:
    text = checkpoint.text()
    public = key.public_key().public_bytes_raw()
    signature = base64.b64encode(key_hash(checkpoint.origin, public) + key.sign(text.encode())).decode()
    return f"{text}\n\u2014 {checkpoint.origin} {signature}\n"


def open_note(note: str, name: str, public_key: bytes) -> Checkpoint:
    """The checkpoint that the note holds, signed by this key. Raises NoteInvalid."""
    text, separator, signatures = note.rpartition("\n\n")
    text += "\n"
    if not separator:
        raise NoteInvalid("there is no signature")
    for line in signatures.splitlines():
        if not line.startswith(f"\u2014 {name} "):
            continue
        try:
            raw = base64.b64decode(line.rsplit(" ", 1)[1], validate=True)
        except ValueError as wrong:
            raise NoteInvalid(f"the signature of {name} is not in base 64") from wrong
        if raw[:4] != key_hash(name, public_key):
            continue
        try:
            Ed25519PublicKey.from_public_bytes(public_key).verify(raw[4:], text.encode())
        except InvalidSignature as wrong:
            raise NoteInvalid(f"the signature of {name} does not fit the text") from wrong
        return parse_checkpoint(text)
    raise NoteInvalid(f"{name} has not signed this")


def parse_checkpoint(text: str) -> Checkpoint:
    lines = text.split("\n")
    try:
        return Checkpoint(lines[0], int(lines[1]), base64.b64decode(lines[2], validate=True))
    except (IndexError, ValueError) as wrong:
        raise NoteInvalid("a checkpoint reads origin, size, root") from wrong
