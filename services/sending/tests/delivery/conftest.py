"""Scripted SMTP servers, and hand-offs as futures, on both event loops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
import uvloop

from postlaw_common.testing.patience import patience
from postlaw_sending.delivery import Connection, Relay, Reply
from postlaw_sending.testing.smtp_peer import MESSAGE, HandOff, Peer, Script, Serve


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The engine holds on both event loops."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
def hand_off() -> HandOff:
    """`hand_off(connection, recipient, message)`: its outcome as a future."""

    def begin(connection: Connection, recipient: bytes, message: bytes = MESSAGE) -> asyncio.Future[Reply]:
        outcome: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        connection.hand_off(b"bounce+1@example.org", recipient, message, outcome.set_result)
        return outcome

    return begin


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """`await serve(script, **relay_options)` listens and gives the Relay; each connection runs the script, then is closed.

    What a script raises fails the test at its end.
    """
    servers: list[asyncio.Server] = []
    running: list[asyncio.Task[None]] = []

    async def start(script: Script, **options: object) -> Relay:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            running.append(task)
            try:
                await script(Peer(reader, writer))
            finally:
                writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        servers.append(server)
        settings: dict[str, object] = {"tls": "none", "reply_s": 5.0, "greeting_s": 5.0, "command_s": 5.0} | options
        return Relay("127.0.0.1", server.sockets[0].getsockname()[1], **settings)  # pyright: ignore[reportArgumentType]

    yield start
    for server in servers:
        server.close()
    async with patience():
        for task in running:
            await task
