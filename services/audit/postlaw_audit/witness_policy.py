"""Whose cosignatures make a checkpoint witnessed: a policy file as Sigsum and Tessera read it, with C2SP cosignature/v1 keys.

witness NAME VKEY [URL]
group NAME any|all|NUMBER MEMBER…
quorum NAME|none
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from postlaw_audit.notes import Note, NoteInvalid, fits, key_hash, parse_note, parse_verifier_key

COSIGNATURE = b"\x04"  # cosignature/v1: Ed25519 with a time
_TIME = 8  # bytes
_WORDS = {"log", "witness", "group", "quorum", "any", "all", "none"}


class PolicyInvalid(ValueError):
    """The line of the policy that cannot be read is named."""


@dataclass(frozen=True, slots=True)
class Witness:
    """`key_name` and `key` as in its verifier key. `url` empty: others ask it, we only know its cosignatures."""

    name: str
    key_name: str
    key: bytes
    url: str

    @property
    def hash(self) -> bytes:
        return key_hash(self.key_name, self.key, COSIGNATURE)


@dataclass(frozen=True, slots=True)
class Policy:
    """`groups`: name → how many of which members. `quorum` names a witness or a group; "none": nobody needs to cosign."""

    witnesses: Mapping[str, Witness] = field(default_factory=dict[str, Witness])
    groups: Mapping[str, tuple[int, tuple[str, ...]]] = field(default_factory=dict[str, tuple[int, tuple[str, ...]]])
    quorum: str = "none"

    def satisfied(self, by: Collection[str]) -> bool:
        """Whether these witnesses are enough. With the quorum "none" nobody ever is: such a log is unwitnessed."""
        return self.quorum != "none" and self._has(self.quorum, by)

    def _has(self, name: str, by: Collection[str]) -> bool:
        if name in self.witnesses:
            return name in by
        threshold, members = self.groups[name]
        return sum(self._has(member, by) for member in members) >= threshold


def parse_policy(text: str) -> Policy:
    """Raises PolicyInvalid."""
    witnesses: dict[str, Witness] = {}
    groups: dict[str, tuple[int, tuple[str, ...]]] = {}
    quorum = ""
    for number, line in enumerate(text.splitlines(), 1):
        try:
            match line.partition("#")[0].split():
                case [] | ["log", _] | ["log", _, _]:
                    pass
                case ["witness", name, vkey, *url] if len(url) < 2:
                    witnesses[_new(name, witnesses, groups)] = Witness(name, *parse_verifier_key(vkey, COSIGNATURE), "".join(url))
                case ["group", name, threshold, *members] if members:
                    groups[_new(name, witnesses, groups)] = _threshold(threshold, len(members)), _known(members, witnesses, groups)
                case ["quorum", name] if not quorum:
                    quorum = name if name == "none" else _known([name], witnesses, groups)[0]
                case _:
                    raise PolicyInvalid("it is neither witness, group nor the one quorum")
        except (PolicyInvalid, NoteInvalid) as wrong:
            raise PolicyInvalid(f"line {number} of the witness policy: {wrong}") from wrong
    if not quorum:
        raise PolicyInvalid("the witness policy has no line `quorum NAME` or `quorum none`")
    return Policy(witnesses, groups, quorum)


def _new(name: str, *taken: Collection[str]) -> str:
    if name in _WORDS or any(name in names for names in taken):
        raise PolicyInvalid(f"the name {name} is taken")
    return name


def _threshold(text: str, members: int) -> int:
    wanted = {"any": "1", "all": str(members)}.get(text, text)
    if not wanted.isdecimal() or not 0 < int(wanted) <= members:
        raise PolicyInvalid(f"{text} of {members} members cannot be")
    return int(wanted)


def _known(names: Collection[str], *known: Collection[str]) -> tuple[str, ...]:
    for name in names:
        if not any(name in found for found in known):
            raise PolicyInvalid(f"{name} is named no witness or group above")
    return tuple(names)


def witnesses_of(note: str, policy: Policy) -> list[str]:
    """Who has cosigned the note, where they are enough; else nobody: it is unwitnessed. Raises NoteInvalid."""
    by = cosigned_by(parse_note(note), policy)
    return sorted(by) if policy.satisfied(by) else []


def cosigned_by(note: Note, policy: Policy) -> dict[str, int]:
    """Which of the policy's witnesses have cosigned the note, and when (POSIX seconds). Raises NoteInvalid for a cosignature that does not
    fit."""
    found: dict[str, int] = {}
    for witness in policy.witnesses.values():
        raw = note.of(witness.key_name, witness.hash)
        if raw is None:
            continue
        time = int.from_bytes(raw[:_TIME], "big")
        if len(raw) != _TIME + 64 or not fits(witness.key, raw[_TIME:], cosigned_text(note.text, time)):
            raise NoteInvalid(f"the cosignature of {witness.name} does not fit the text")
        found[witness.name] = time
    return found


COSIGNATURE_LENGTH = 4 + _TIME + 64  # octets: the key's hash, a time, Ed25519


def cosigned_text(text: str, time: int) -> bytes:
    """What a witness signs of a checkpoint (C2SP tlog-cosignature)."""
    return f"cosignature/v1\ntime {time}\n{text}".encode()
