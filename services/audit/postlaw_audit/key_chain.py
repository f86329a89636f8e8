"""Which key came after which: a checkpoint that is signed by a rotated key is shown to be the log's by whoever knows an earlier one.

`keys/2` beside the log is a note that names keys 1 and 2 and is signed by both, `keys/3` one of 2 and 3, and so on. Its second line is no
size, so that it is never taken for a checkpoint."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from postlaw_audit.notes import Checkpoint, NoteInvalid, parse_checkpoint, parse_verifier_key, sign_text, signed_text, verifier_key
from postlaw_audit.sources import LogFiles

_SUCCESSOR = "is followed by"
MOST_KEYS = 1000


def succession_path(number: int) -> str:
    return f"keys/{number}"


def succession(origin: str, old: Ed25519PrivateKey, new: Ed25519PrivateKey) -> str:
    """The note by which `new` follows `old`, signed by both."""
    keys = [verifier_key(origin, key.public_key().public_bytes_raw()) for key in (old, new)]
    return sign_text(f"{origin}\n{_SUCCESSOR}\n{keys[0]}\n{keys[1]}\n", origin, [old, new])


def follows(note: str) -> tuple[str, str]:
    """(key, the one after it), in note format. Raises NoteInvalid where either has not signed this."""
    lines = note.split("\n")
    if len(lines) < 5 or lines[1] != _SUCCESSOR or lines[4]:
        raise NoteInvalid("that is no note of one key following another")
    for key in lines[2:4]:
        name, public = parse_verifier_key(key)
        if name != lines[0]:
            raise NoteInvalid("one log's key cannot follow another's")
        signed_text(note, name, public)
    return lines[2], lines[3]


@dataclass(frozen=True, slots=True)
class KeyChain:
    """`trusted`: the key that is known, and whatever followed it; `before`: what led to it, newest last. All in note format."""

    trusted: tuple[str, ...]
    before: tuple[str, ...] = ()

    def followed(self, notes: Iterable[str]) -> KeyChain:
        """With the keys that follow by these notes, oldest first. Raises NoteInvalid."""
        trusted = [*self.trusted]
        for key, after in map(follows, notes):
            if key == trusted[-1]:
                trusted.append(after)
        return replace(self, trusted=tuple(trusted))

    def open(self, note: str) -> tuple[Checkpoint, str]:
        """The checkpoint, and the newest of the trusted keys that has signed it. Raises NoteInvalid."""
        text, key = _signed(note, self.trusted[::-1])
        return parse_checkpoint(text), key

    def open_earlier(self, note: str) -> Checkpoint:
        """A checkpoint from before, which a key may have signed that was followed since: the log is compared with it, nothing else."""
        return parse_checkpoint(self.signed_earlier(note))

    def signed_earlier(self, note: str) -> str:
        """The note's text; of a note from before, as `open_earlier`. Raises NoteInvalid."""
        return _signed(note, [*self.trusted[::-1], *self.before[::-1]])[0]


def known_key(key: str) -> KeyChain:
    """Of a key alone: what follows it is found by notes. Raises NoteInvalid where that is no key."""
    parse_verifier_key(key)
    return KeyChain((key.strip(),))


async def key_chain(files: LogFiles, known: str) -> KeyChain:
    """The chain around the key that is known. Raises NoteInvalid for a link that does not hold."""
    known = known.strip()
    parse_verifier_key(known)
    links: list[tuple[str, str]] = []
    for number in range(2, MOST_KEYS):
        note = await files.get(succession_path(number))
        if note is None:
            break
        try:
            links.append(follows(note.decode()))
        except (NoteInvalid, UnicodeDecodeError) as wrong:
            raise NoteInvalid(f"{succession_path(number)}: {wrong}") from wrong
    trusted, before = [known], [known]
    for key, after in links:
        if key == trusted[-1]:
            trusted.append(after)
    for key, after in reversed(links):
        if after == before[0]:
            before.insert(0, key)
    return KeyChain(tuple(trusted), tuple(before[:-1]))


def _signed(note: str, keys: Sequence[str]) -> tuple[str, str]:
    for key in keys[:-1]:
        try:
            return signed_text(note, *parse_verifier_key(key)), key
        except NoteInvalid:
            continue
    return signed_text(note, *parse_verifier_key(keys[-1])), keys[-1]
