"""What stands out in an address: signs that mail to it reaches nobody, or somebody who did not ask. Nothing is refused for them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

ROLE: Final = "role_address"
DISPOSABLE: Final = "disposable_domain"
MISTYPED: Final = "mistyped_domain"
TRAP: Final = "trap_like"

_RULES: Final = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
_ROLES: Final = frozenset[str](_RULES["roles"])
_TRAP: Final = re.compile("|".join(_RULES["traps"]))
_ONE, _TWO, _THREE = _RULES["trap_hints"]
PROVIDERS: Final[tuple[str, ...]] = tuple(_RULES["providers"])
KNOWN: Final = frozenset[str]((*PROVIDERS, *_RULES["real"]))
_NO_FLAGS: Final[tuple[str, ...]] = ()


def flags_of(address: str) -> tuple[str, ...]:
    """Of a normalised address. Half a microsecond where its domain was seen before: an import asks it of every row."""
    local, _, domain = address.rpartition("@")
    flags = _of_domain(domain)
    local = local.lower()
    if local in _ROLES:
        flags = (ROLE, *flags)
    if (_ONE in local or _TWO in local or _THREE in local) and _TRAP.search(local):
        flags = (*flags, TRAP)
    return flags


@lru_cache(maxsize=8192)
def _of_domain(domain: str) -> tuple[str, ...]:
    if domain in KNOWN:
        return _NO_FLAGS
    flags = (MISTYPED,) if _mistyped(domain) else _NO_FLAGS
    disposable = _disposable()
    parent = domain
    while "." in parent:
        if parent in disposable:
            return (*flags, DISPOSABLE)
        parent = parent.partition(".")[2]
    return flags


@cache
def _disposable() -> frozenset[str]:
    """disposable_domains.txt: its licence lies beside it. A newer one may take its place."""
    return frozenset(Path(__file__).with_name("disposable_domains.txt").read_text(encoding="ascii").split())


def _mistyped(domain: str) -> bool:
    """Whether one letter more, less, other, or two that changed places make it a big provider's.

    Two words are that near only if they share what is left of each without one letter: so the providers' are looked up. And a slip spoils
    not both ends of a word, which spares most domains that look-up."""
    if len(domain) > _LONGEST or (domain[:_HEAD] not in _HEADS and domain[-_TAIL:] not in _TAILS):
        return False
    return any(_near(domain, provider) for word in _shortened(domain) for provider in _BY_WORD.get(word, ()))


def _near(word: str, other: str) -> bool:
    """Whether one such slip turns one into the other."""
    if len(word) < len(other):
        word, other = other, word
    at = next((place for place, (one, two) in enumerate(zip(word, other, strict=False)) if one != two), len(other))
    if len(word) > len(other):
        return len(word) == len(other) + 1 and word[at + 1 :] == other[at:]
    changed_places = word[at : at + 2] == other[at : at + 2][::-1] and word[at + 2 :] == other[at + 2 :]
    return word[at + 1 :] == other[at + 1 :] or changed_places


def _shortened(word: str) -> Iterator[str]:
    """It, and it without each of its letters."""
    yield word
    for at in range(len(word)):
        yield word[:at] + word[at + 1 :]


def _by_word() -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for provider in PROVIDERS:
        for word in _shortened(provider):
            found[word] = (*found.get(word, ()), provider)
    return found


_BY_WORD: Final = _by_word()
_HEAD, _TAIL = 2, 5  # letters: with one between them in the shortest
_HEADS: Final = frozenset(provider[:_HEAD] for provider in PROVIDERS)
_TAILS: Final = frozenset(provider[-_TAIL:] for provider in PROVIDERS)
_LONGEST: Final = 1 + max(map(len, PROVIDERS))
