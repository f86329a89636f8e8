"""Notices: the wordings that people read before they agreed. What a wording says is its name: its SHA-256."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from postlaw_law.spelling import is_language_tag

HASH_BYTES = 32


@dataclass(frozen=True, slots=True)
class Notice:
    """Times in microseconds since the epoch. `language` "" and `from_us` None: a consent brought the wording, and nobody has said.
    `until_us` None: it is still shown. `first_used_us`: of the first consent recorded with it."""

    digest: bytes
    wording: str
    language: str = ""
    from_us: int | None = None
    until_us: int | None = None
    first_used_us: int | None = None
    registered_us: int = 0
    version: int = 1

    def problems(self) -> Iterator[tuple[str, str]]:
        """What is wrong with it: (field, in words for whoever sent it)."""
        if self.language and not is_language_tag(self.language):
            yield "language", "must be a language tag (BCP 47), such as de or pt-BR"
        if self.from_us is not None and self.until_us is not None and self.until_us < self.from_us:
            yield "effective_to", "lies before effective_from"

    def misses(self, at_us: int) -> str:
        """Why an act of this time cannot have been about this wording, by what its customer says of it; "" where it can."""
        if self.from_us is not None and at_us < self.from_us:
            return "the notice was not shown yet at that time, by its effective_from"
        if self.until_us is not None and at_us > self.until_us:
            return "the notice was no longer shown at that time, by its effective_to"
        return ""


@dataclass(frozen=True, slots=True)
class Use:
    """A consent names a notice: with its `wording`, or as one that is known. `at_us`: when it was given."""

    at_us: int
    wording: str = ""
    language: str = ""


def digest_of(wording: str) -> bytes:
    return hashlib.sha256(wording.encode()).digest()
