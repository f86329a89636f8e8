"""Random bytes in small pieces, many from one call of the system: each such call gives the GIL away, and beside busy threads it may
take a whole switch interval (5 ms) to get it back. For ids and nonces; keys are drawn one by one."""

from __future__ import annotations

import os
from collections.abc import Callable

_PIECES = 256


def pieces_of(size: int) -> Callable[[], bytes]:
    """A function that returns `size` fresh random bytes at each call. Safe over threads; a forked child begins anew."""
    pool: list[bytes] = []
    os.register_at_fork(after_in_child=pool.clear)

    def piece() -> bytes:
        while True:
            try:
                return pool.pop()
            except IndexError:
                fresh = os.urandom(size * _PIECES)
                pool.extend(fresh[start : start + size] for start in range(0, len(fresh), size))

    return piece
