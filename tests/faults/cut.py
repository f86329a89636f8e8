"""A way to a server that can be cut: a TCP proxy on a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress


class Cut:
    """`port` leads to `host:to` while it is whole.

    While it is cut, connections end at once and those that were open are gone. While it stalls, nothing passes and nobody is told;
    what was sent meanwhile arrives after all when it is mended, however long ago its sender has given up."""

    def __init__(self, host: str, to: int) -> None:
        self._to = (host, to)
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self._whole = True
        self._flows = asyncio.Event()
        self._flows.set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._ask(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]

    def _ask(self, work: object) -> asyncio.Server:
        assert asyncio.iscoroutine(work)
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if not self._whole:
                return
            self._writers.add(writer)
            there, onward = await asyncio.open_connection(*self._to)
            self._writers.add(onward)
            await asyncio.gather(self._pass(reader, onward), self._pass(there, writer))
        except OSError:
            return
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()
        self._writers.discard(writer)
        writer.close()

    def cut(self) -> None:
        """Replies on their way are lost, too: whoever waits does not learn whether his write has happened."""
        self._loop.call_soon_threadsafe(self._cut)

    def _cut(self) -> None:
        self._whole = False
        for writer in list(self._writers):
            writer.transport.abort()

    def stall(self) -> None:
        self._loop.call_soon_threadsafe(self._flows.clear)

    def mend(self) -> None:
        self._whole = True
        self._loop.call_soon_threadsafe(self._flows.set)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._cut)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
