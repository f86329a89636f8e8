"""A message that may no longer be written: what has not left stays here, what is wholly written runs to its reply."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from postlaw_common.testing.promises import promise
from postlaw_sending.delivery import Reply, connect
from postlaw_sending.testing.smtp_peer import MESSAGE, Peer, Serve


@promise("M6")
@pytest.mark.parametrize("offers", [("PIPELINING",), (), ("CHUNKING",)])
async def test_a_message_that_waits_for_a_reply_is_not_written_once_it_may_not_go_on(serve: Serve, offers: tuple[str, ...]) -> None:
    """The permit ends, or the epoch is refused, between MAIL and the message: nothing of it is written, and that is certain."""
    heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    may_go_on = True

    async def script(peer: Peer) -> None:
        nonlocal may_go_on
        await peer.hello(*offers)
        assert (await peer.line()).startswith(b"MAIL")
        if offers == ("PIPELINING",):
            await peer.line()
            assert await peer.line() == b"DATA"
            may_go_on = False
            peer.say("250 ok", "250 ok", "354 go ahead")
        else:
            may_go_on = False
            peer.say("250 ok")
        try:
            heard.set_result(await peer.reader.read())
        except ConnectionResetError:
            heard.set_result(b"")

    connection = await connect(await serve(script))
    outcome: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
    connection.hand_off(b"b@example.org", b"a@example.com", MESSAGE, outcome.set_result, lambda: may_go_on)
    assert (await outcome)[:3] == ("deferred", 0, "it might no longer be written")
    assert await heard == b""


@promise("M6")
async def test_what_a_slow_receiver_has_not_taken_is_not_written_once_it_may_not_go_on(serve: Serve) -> None:
    taken: list[int] = []
    reads = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.hello("PIPELINING", "CHUNKING")
        await reads.wait()
        with suppress(ConnectionResetError):
            while data := await peer.reader.read(1 << 20):
                taken.append(len(data))

    connection = await connect(await serve(script))
    message = b"x" * (64 << 20)
    outcome: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
    may_go_on = True
    connection.hand_off(b"b@example.org", b"a@example.com", message, outcome.set_result, lambda: may_go_on)
    await asyncio.sleep(0.05)
    connection.cut_off()
    assert connection.alive
    may_go_on = False
    connection.cut_off()
    assert (await outcome)[:3] == ("dropped", 0, "it might no longer be written")
    reads.set()
    await asyncio.sleep(0.05)
    assert sum(taken) < len(message)


@promise("M6")
async def test_what_is_wholly_written_runs_to_its_reply(serve: Serve) -> None:
    """A reset would stop nothing, and leave us not knowing."""
    told = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.hello("FULL")
        await peer.whole()
        await told.wait()
        peer.say(*["250 ok"] * 3)

    connection = await connect(await serve(script))
    outcome: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
    connection.hand_off(b"b@example.org", b"a@example.com", MESSAGE, outcome.set_result, lambda: False)
    await asyncio.sleep(0.02)
    connection.cut_off()
    told.set()
    assert (await outcome).kind == "accepted"
