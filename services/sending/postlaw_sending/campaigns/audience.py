"""Reading an audience page by page, with the stream kept open between turns."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import cast

from postlaw_sending.campaigns.clients import STREAM_LIFE_S, Page


class AudienceReader:
    """One list's people in one partition. `open(after)` begins the stream after an address_key."""

    def __init__(self, open: Callable[[bytes], AsyncIterator[Page]], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._open = open
        self._monotonic = monotonic
        self._stream: AsyncGenerator[Page] | None = None
        self._at = b""
        self._opened = 0.0

    async def take(self, after: bytes, pages: int) -> tuple[list[Page], bool]:
        """(up to `pages` pages of those after `after`, whether the audience ends with them).

        The stream goes on where it is; it begins again when it is at another place, or old: what it read ahead may have changed."""
        if self._stream is not None and (self._at != after or self._monotonic() - self._opened > STREAM_LIFE_S):
            await self.close()
        if self._stream is None:
            self._stream = cast("AsyncGenerator[Page]", self._open(after))
            self._opened = self._monotonic()
        taken: list[Page] = []
        try:
            while len(taken) < pages:
                page = await anext(self._stream, None)
                if page is None:
                    await self.close()
                    return taken, True
                if page.address_keys:
                    taken.append(page)
        except BaseException:
            await self.close()
            raise
        self._at = taken[-1].address_keys[-1] if taken else after
        return taken, False

    async def close(self) -> None:
        if self._stream is not None:
            stream, self._stream = self._stream, None
            async with aclosing(stream):
                pass
