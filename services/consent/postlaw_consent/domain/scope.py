"""What a consent, a withdrawal or a message is about, from narrow to wide: one list or topic, a brand, all mail of a customer, all mail of
every customer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ScopeKind = Literal["list", "topic", "brand", "everything", "platform"]

# A token must carry its scope, and an unsubscribe link stays below 300 characters (domain/token.py).
LONGEST_SCOPE_ID = 64
LONGEST_BRAND = 100  # characters, as its customer writes it
_LONGEST_BRAND_BYTES = 255  # a token has a byte for the length


@dataclass(frozen=True, slots=True)
class Scope:
    """`id` is the list's id or the topic's name (1 to 64 bytes of UTF-8), or the brand's name; empty for everything and the platform."""

    kind: ScopeKind
    id: str = ""

    @property
    def key(self) -> str:
        """The scope as one string, as documents and the fold use it: `list:lst_…`, `topic:news`, `brand:Acme`,
        `everything`, `platform`."""
        return f"{self.kind}:{self.id}" if self.id else self.kind

    def problem(self) -> str | None:
        """What is wrong with it, in words for whoever sent it; None where nothing is."""
        if self.kind in ("everything", "platform"):
            return None
        if not self.id:
            return f"a scope of one {self.kind} needs its id"
        if self.kind == "brand" and (len(self.id) > LONGEST_BRAND or len(self.id.encode()) > _LONGEST_BRAND_BYTES):
            return f"longer than {LONGEST_BRAND} characters, or than {_LONGEST_BRAND_BYTES} bytes"
        if self.kind != "brand" and len(self.id.encode()) > LONGEST_SCOPE_ID:
            return f"longer than {LONGEST_SCOPE_ID} bytes"
        if not self.id.isprintable():
            return "has a character that cannot be shown, such as the end of a line"
        return None


EVERYTHING = Scope("everything")
PLATFORM = Scope("platform")  # closed and opened by whoever runs the installation alone


@dataclass(frozen=True, slots=True)
class Belongs:
    """What a message belongs to: its `scope`, and the brand under which a list or topic falls, "" where none is known or the scope is one
    itself. A message that has a brand alone is of that brand."""

    scope: Scope
    brand: str = ""

    @property
    def covering(self) -> frozenset[str]:
        """The keys of the scopes whose opt-outs close it."""
        return frozenset({self.scope.key, EVERYTHING.key, PLATFORM.key, self.brand_key or EVERYTHING.key})

    @property
    def brand_key(self) -> str:
        return Scope("brand", self.brand).key if self.brand else ""


def belonging(scope: Scope, brand: str) -> Belongs:
    """Of a message of this scope and, beside it, this brand ("" for none)."""
    if scope.kind == "brand":
        return Belongs(scope)
    if scope == EVERYTHING and brand:
        return Belongs(Scope("brand", brand))
    return Belongs(scope, brand)


def scope_of(key: str) -> Scope:
    """The scope that a key names. ValueError where it names none."""
    kind, _, id = key.partition(":")
    if kind == "everything":
        return EVERYTHING
    if kind == "platform":
        return PLATFORM
    if kind == "list":
        return Scope("list", id)
    if kind == "topic":
        return Scope("topic", id)
    if kind == "brand":
        return Scope("brand", id)
    raise ValueError(f"{key!r} is not a scope")
