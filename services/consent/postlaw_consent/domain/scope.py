"""What a consent or a withdrawal is about: one list, one topic, or all mail of a customer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ScopeKind = Literal["list", "topic", "everything"]

# A token must carry its scope, and an unsubscribe link stays below 300 characters (domain/token.py).
LONGEST_SCOPE_ID = 64


@dataclass(frozen=True, slots=True)
class Scope:
    """`id` is the list's id or the topic's name (1 to 64 bytes of UTF-8); empty for everything."""

    kind: ScopeKind
    id: str = ""

    @property
    def key(self) -> str:
        """The scope as one string, as documents and the fold use it: `list:lst_…`, `topic:news`, `everything`."""
        return f"{self.kind}:{self.id}" if self.id else self.kind

    def problem(self) -> str | None:
        """What is wrong with it, in words for whoever sent it; None where nothing is."""
        if self.kind == "everything":
            return None
        if not self.id:
            return f"a scope of one {self.kind} needs its id"
        if len(self.id.encode()) > LONGEST_SCOPE_ID:
            return f"longer than {LONGEST_SCOPE_ID} bytes"
        if not self.id.isprintable():
            return "has a character that cannot be shown, such as the end of a line"
        return None


EVERYTHING = Scope("everything")


def scope_of(key: str) -> Scope:
    """The scope that a key names. ValueError where it names none."""
    kind, _, id = key.partition(":")
    if kind == "everything":
        return EVERYTHING
    if kind == "list":
        return Scope("list", id)
    if kind == "topic":
        return Scope("topic", id)
    raise ValueError(f"{key!r} is not a scope")
