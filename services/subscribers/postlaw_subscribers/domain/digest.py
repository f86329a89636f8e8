"""Digests of addresses, as providers give out their suppression lists: whoever has an address can tell whether it is meant, nobody else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Literal, get_args

Algorithm = Literal["sha256", "md5"]
Format = Literal["address", "sha256", "md5"]
FORMATS: tuple[Format, ...] = get_args(Format)

_BYTES: dict[Algorithm, int] = {"sha256": 32, "md5": 16}


def read_digest(algorithm: Algorithm, cell: str) -> bytes | None:
    """The digest that a cell holds in hex, in either case; None where it holds none of this algorithm."""
    try:
        digest = bytes.fromhex(cell)
    except ValueError:
        return None
    return digest if len(digest) == _BYTES[algorithm] and len(cell) == 2 * len(digest) else None  # fromhex passes over blanks


def is_digest(cell: str) -> bool:
    return any(read_digest(algorithm, cell) is not None for algorithm in _BYTES)


def digests_of(spellings: Iterable[str], algorithms: Iterable[Algorithm]) -> Iterator[tuple[Algorithm, bytes]]:
    """By which lists may name a person, whose address is spelt in these ways."""
    for spelling in spellings:
        text = spelling.lower().encode()
        for algorithm in algorithms:
            yield algorithm, hashlib.new(algorithm, text, usedforsecurity=False).digest()
