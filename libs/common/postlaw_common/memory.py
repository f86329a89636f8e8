"""What a long-lived process tells its allocator and its garbage collector, and what it does not load."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

_M_ARENA_MAX = -8  # glibc's malloc.h
_ARENAS = 1
_YOUNG = 50_000  # objects made, and not dropped again, between two passes over the youngest


def bound_arenas() -> None:
    """Before the first thread: glibc gives threads arenas of their own and returns little of them. With thirty threads, most of which
    wait for a disk or for the GIL, that was 25 MB of an import's peak for nothing. Elsewhere than on glibc it does nothing."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)


def settled() -> None:
    """A whole process is up: what it holds now lives as long as it does, and a full pass of the collector (47 ms, in which nobody is
    answered) need not walk it. Bulk work makes objects by the thousand that die with their batch and hold no cycles: at Python's own
    threshold of 700 the collector walked them again and again, a sixth of an import's processor time."""
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 50)


@contextmanager
def without(module: str) -> Generator[None]:
    """Whoever is imported inside, and takes this module where it finds it, does not find it. One that is loaded already stays so."""
    modules = cast("dict[str, Any]", sys.modules)
    there = modules.get(module)
    modules[module] = None
    try:
        yield
    finally:
        del modules[module]
        if there is not None:
            modules[module] = there
