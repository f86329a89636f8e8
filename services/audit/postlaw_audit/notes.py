"""Checkpoints as C2SP signed notes (tlog-checkpoint, signed-note), signed with Ed25519."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_ED25519 = b"\x01"
_TEXT = re.compile(r"[^\x00-\x09\x0b-\x1f\x7f]*\n")
_SIGNATURE = re.compile("\u2014 ([^\\s+]+) ([A-Za-z0-9+/]+={0,2})")
_SIZE = re.compile(r"0|[1-9][0-9]{0,17}")


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


@dataclass(frozen=True, slots=True)
class Note:
    """What is signed, its last newline included, and (name, key hash and signature) as they stand below it."""

    text: str
    signatures: tuple[tuple[str, bytes], ...]

    def of(self, name: str, hash: bytes) -> bytes | None:
        """The signature by this key; None where it has not signed."""
        return next((raw[4:] for by, raw in self.signatures if by == name and raw[:4] == hash), None)


def parse_note(note: str) -> Note:
    """Raises NoteInvalid. Nothing is verified."""
    text, separator, below = note.rpartition("\n\n")
    text += "\n"
    if not separator or not below.endswith("\n"):
        raise NoteInvalid("there is no signature")
    if not _TEXT.fullmatch(text):
        raise NoteInvalid("the text has control characters")
    signatures: list[tuple[str, bytes]] = []
    for line in below.removesuffix("\n").split("\n"):
        found = _SIGNATURE.fullmatch(line)
        try:
            raw = base64.b64decode(found[2], validate=True) if found else b""
        except ValueError as wrong:
            raise NoteInvalid("a signature is not in base 64") from wrong
        if found is None or len(raw) < 5:
            raise NoteInvalid("a line below the text is no signature")
        signatures.append((found[1], raw))
    return Note(text, tuple(signatures))


def signature_line(name: str, hash: bytes, signature: bytes) -> str:
    return f"\u2014 {name} {base64.b64encode(hash + signature).decode()}\n"


def key_hash(name: str, public_key: bytes, kind: bytes = _ED25519) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + kind + public_key).digest()[:4]


def verifier_key(name: str, public_key: bytes, kind: bytes = _ED25519) -> str:
    """The key in note format, as other people's verifiers take it: `name+hash+key`."""
    return f"{name}+{key_hash(name, public_key, kind).hex()}+{base64.b64encode(kind + public_key).decode()}"


def parse_verifier_key(text: str, kind: bytes = _ED25519) -> tuple[str, bytes]:
    """(name, public key). Raises NoteInvalid."""
    try:
        name, hash, encoded = text.strip().split("+", 2)
        key = base64.b64decode(encoded, validate=True)
    except ValueError as wrong:
        raise NoteInvalid("a verifier key reads name+hash+key") from wrong
    if key[:1] != kind or len(key) != 33 or key_hash(name, key[1:], kind).hex() != hash:
        raise NoteInvalid("the verifier key is of another kind than Ed25519, or its hash is another's")
    return name, key[1:]


def sign_text(text: str, name: str, keys: Sequence[Ed25519PrivateKey]) -> str:
    """The note of this text, signed by each of the keys."""
    lines: list[str] = []
    for key in keys:
        public = key.public_key().public_bytes_raw()
        lines.append(signature_line(name, key_hash(name, public), key.sign(text.encode())))
    return f"{text}\n{''.join(lines)}"


def sign(checkpoint: Checkpoint, *keys: Ed25519PrivateKey) -> str:
    return sign_text(checkpoint.text(), checkpoint.origin, keys)


def signed_text(note: str, name: str, public_key: bytes) -> str:
    """The note's text, once this key is shown to have signed it. Raises NoteInvalid."""
    found = parse_note(note)
    signature = found.of(name, key_hash(name, public_key))
    if signature is None:
        raise NoteInvalid(f"{name} has not signed this")
    if not fits(public_key, signature, found.text.encode()):
        raise NoteInvalid(f"the signature of {name} does not fit the text")
    return found.text


def fits(public_key: bytes, signature: bytes, data: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, data)
    except InvalidSignature:
        return False
    return True


def open_note(note: str, name: str, public_key: bytes) -> Checkpoint:
    """The checkpoint that the note holds, signed by this key. Raises NoteInvalid."""
    return parse_checkpoint(signed_text(note, name, public_key))


def parse_checkpoint(text: str) -> Checkpoint:
    """Of a note or its text; nothing is verified. Raises NoteInvalid."""
    lines = text.split("\n")
    try:
        origin, size, root = lines[0], lines[1], base64.b64decode(lines[2], validate=True)
    except (IndexError, ValueError) as wrong:
        raise NoteInvalid("a checkpoint reads origin, size, root") from wrong
    if not origin or not _SIZE.fullmatch(size) or len(root) != 32:
        raise NoteInvalid("a checkpoint reads origin, size, root")
    return Checkpoint(origin, int(size), root)
