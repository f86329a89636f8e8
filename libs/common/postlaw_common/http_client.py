"""httpx, without the command line of its own that it loads where it finds what that needs: with structlog's share, 5 MB of each process."""

from __future__ import annotations

from postlaw_common.memory import without

with without("pygments"):
    import httpx

__all__ = ["httpx"]
