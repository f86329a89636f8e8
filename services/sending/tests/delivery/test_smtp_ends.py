"""Connections that somebody ends: whoever waited is told, and what had not left never arrives."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys

import pytest

from postlaw_common.testing.patience import patience
from postlaw_common.testing.promises import promise
from postlaw_sending.delivery import connect
from postlaw_sending.delivery.connection import Connection
from postlaw_sending.testing.smtp_peer import HandOff, Peer, Serve, kinds


@promise("M6")
async def test_a_final_reply_that_never_comes_is_not_waited_for_for_ever(serve: Serve, hand_off: HandOff) -> None:
    """RFC 5321 §4.5.3.2.6: every wait has an end; then the connection is reset, and the outcome is unknown."""

    async def script(peer: Peer) -> None:
        await peer.hello("FULL")
        await peer.whole()
        peer.say("250 ok", "250 ok")
        with pytest.raises(ConnectionError):
            await peer.reader.readexactly(1)

    connection = await connect(await serve(script, reply_s=0.2))
    reply = await hand_off(connection, b"a@example.com")
    assert (reply.kind, reply.text) == ("dropped", "no reply in time")


async def test_a_slow_receiver_that_goes_on_is_not_reset(serve: Serve, hand_off: HandOff) -> None:
    """RFC 5321 §4.5.3.2: the time-out is for silence, not for a queue of messages that are answered one by one."""

    async def script(peer: Peer) -> None:
        await peer.hello("FULL")
        for _ in range(3):
            await peer.whole()
        peer.say("250 ok", "250 ok")
        for _ in range(3):
            await asyncio.sleep(0.8)  # together longer than the time-out; each so much shorter that a busy machine keeps it
            peer.say("250 taken", "250 reset", "250 ok", "250 ok")

    connection = await connect(await serve(script, reply_s=2.0))
    outcomes = await asyncio.gather(*(hand_off(connection, b"%d@example.com" % i) for i in range(3)))
    assert kinds(outcomes) == ["accepted"] * 3


@promise("M6")
async def test_reset_reports_everything_before_it_returns_and_unsent_bytes_die(serve: Serve, hand_off: HandOff) -> None:
    """Design §3, rule 4: a worker whose permit ends resets its connections; what had not left never arrives."""
    arrived = 0

    async def script(peer: Peer) -> None:
        nonlocal arrived
        await peer.hello("PIPELINING", "CHUNKING")
        await asyncio.sleep(0.2)
        with pytest.raises(ConnectionResetError):
            while True:
                piece = await peer.reader.read(65536)
                assert piece, "the connection ended in good order"
                arrived += len(piece)

    connection = await connect(await serve(script))
    outcomes = [hand_off(connection, b"a@example.com", b"x" * 64_000_000)]
    await asyncio.sleep(0.05)
    connection.reset()
    assert kinds(outcome.result() for outcome in outcomes) == ["dropped"]
    assert not connection.alive
    assert hand_off(connection, b"a@example.com").result().kind == "deferred"
    await asyncio.sleep(0.4)
    assert arrived < 64_000_000


def test_a_killed_process_takes_its_unsent_bytes_with_it() -> None:
    """Design §3: a killed process leaves bytes in the kernel's buffer; SO_LINGER of zero makes the kernel discard them."""
    program = (
        "import asyncio, sys\n"
        "from postlaw_sending.delivery import Relay, connect\n"
        "async def main():\n"
        "    connection = await connect(Relay('127.0.0.1', int(sys.argv[1]), tls='none'))\n"
        "    connection.hand_off(b'', b'a@example.com', b'x' * 300_000, print)\n"
        "    await asyncio.sleep(0.1)\n"
        "    print('written', flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # most of the message stays on the sender's side
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    child = subprocess.Popen([sys.executable, "-c", program, str(listener.getsockname()[1])], stdout=subprocess.PIPE)
    peer, _ = listener.accept()
    peer.settimeout(10)
    peer.sendall(b"220 peer\r\n")
    peer.recv(1000)
    peer.sendall(b"250-peer\r\n250-PIPELINING\r\n250 CHUNKING\r\n")
    assert child.stdout is not None
    assert child.stdout.readline() == b"written\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    arrived = 0
    with pytest.raises(ConnectionResetError):
        while piece := peer.recv(65536):
            arrived += len(piece)
    assert arrived < 300_000
    peer.close()
    listener.close()
    child.stdout.close()


async def test_a_server_that_speaks_unasked_is_not_trusted(serve: Serve) -> None:
    """RFC 5321 §3.1: replies answer commands; 421 alone may come by itself, and ends the connection."""

    async def script(peer: Peer) -> None:
        await peer.hello("FULL")
        await asyncio.sleep(0.05)
        peer.say("421 idle for too long")
        with pytest.raises(ConnectionError):
            await peer.reader.readexactly(1)

    connection = await connect(await serve(script))
    async with patience():
        while connection.alive:
            await asyncio.sleep(0.01)
    assert not await connection.room()


async def test_who_waits_for_room_learns_that_the_connection_ended(serve: Serve, hand_off: HandOff) -> None:
    """No one waits on a dead connection."""

    async def script(peer: Peer) -> None:
        await peer.hello("FULL")
        await peer.whole()

    connection = await connect(await serve(script, depth=1))
    outcome = hand_off(connection, b"a@example.com")
    assert await connection.room() is False
    assert (await outcome).kind == "dropped"


async def test_sockets_are_told_to_linger_not_and_to_give_up(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 5482 (user time-out), RFC 9293 §3.7.4 (Nagle): options that the outcome of a fault rests on."""
    sockets: list[socket.socket] = []
    adopt = Connection.adopt

    async def noting(self: Connection, sock: socket.socket) -> None:
        sockets.append(sock)
        await adopt(self, sock)

    monkeypatch.setattr(Connection, "adopt", noting)

    async def script(peer: Peer) -> None:
        await peer.hello("FULL")
        with pytest.raises(ConnectionError):
            await peer.reader.readexactly(1)

    connection = await connect(await serve(script, reply_s=7.0))
    (sock,) = sockets
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8) == b"\1\0\0\0\0\0\0\0"
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 7000
    connection.reset()
