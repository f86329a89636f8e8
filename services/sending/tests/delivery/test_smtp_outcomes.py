"""What a hand-off came to, exactly: "dropped" whenever the message may have been delivered and nobody said so, and only then."""

from __future__ import annotations

import asyncio

import pytest

from postlaw_common.testing.promises import promise
from postlaw_sending.delivery import connect
from postlaw_sending.delivery.replies import text_of
from postlaw_sending.testing.smtp_peer import HandOff, Peer, Serve, kinds


@pytest.mark.parametrize(
    ("replies", "kind", "code"),
    [
        (["250", "250", "250 2.0.0 ok"], "accepted", 250),
        (["250", "250", "554 5.7.1 spam"], "rejected", 554),
        (["250", "250", "451 4.7.1 later"], "deferred", 451),
        (["250", "550 5.1.1 nobody", "503 no recipient"], "rejected", 550),
        (["250", "450 4.2.1 busy", "503 no recipient"], "deferred", 450),
        (["553 5.1.8 sender", "503 MAIL first", "503 no"], "rejected", 553),
        (["503 5.5.1 bad sequence", "503 no", "503 no"], "deferred", 503),
        # the server kept an earlier transaction open, yet took this recipient and this message
        (["503 nested MAIL", "250", "250 ok"], "accepted", 250),
        # a refused recipient stays refused, whatever a careless server says to the rest
        (["250", "550 5.1.1 nobody", "250 ok"], "rejected", 550),
    ],
)
async def test_replies_decide(serve: Serve, hand_off: HandOff, replies: list[str], kind: str, code: int) -> None:
    """RFC 5321 §4.2.1: 2yz, 4yz, 5yz; 503 is about an earlier command, so the recipient may be tried again."""

    async def script(peer: Peer) -> None:
        await peer.hello("FULL")
        await peer.whole()
        peer.say(*replies)
        with pytest.raises(ConnectionError):
            await peer.reader.readexactly(1)

    connection = await connect(await serve(script))
    reply = await hand_off(connection, b"a@example.com")
    assert (reply.kind, reply.code) == (kind, code)
    connection.reset()


@promise("M6")
async def test_a_connection_that_ends_after_the_message_leaves_it_unknown(serve: Serve, hand_off: HandOff) -> None:
    """RFC 5321 §4.2.5: without the final reply, nobody knows who is responsible for the message."""

    async def script(peer: Peer) -> None:
        await peer.hello("FULL")
        await peer.whole()
        await peer.whole()
        peer.say("250 ok", "250 ok", "250 ok", "250 ok")

    connection = await connect(await serve(script))
    outcomes = await asyncio.gather(hand_off(connection, b"a@example.com"), hand_off(connection, b"b@example.com"))
    assert kinds(outcomes) == ["accepted", "dropped"]
    assert not connection.alive and connection.under_way == 0


@pytest.mark.parametrize(("offers", "told"), [((), 2), (("CHUNKING",), 1), (("PIPELINING",), 2)])
async def test_a_connection_that_ends_before_the_message_means_not_delivered(
    serve: Serve, hand_off: HandOff, offers: tuple[str, ...], told: int
) -> None:
    """RFC 5321 §3.3: without 354, or without the octets of BDAT, there is no message to deliver."""

    async def script(peer: Peer) -> None:
        await peer.hello(*offers)
        for _ in range(told):
            await peer.line()
            peer.say("250 ok")

    connection = await connect(await serve(script))
    assert (await hand_off(connection, b"a@example.com")).kind == "deferred"


async def test_a_connection_that_ends_after_data_leaves_it_unknown(serve: Serve, hand_off: HandOff) -> None:
    """RFC 5321 §4.2.5, RFC 1047: the same without CHUNKING."""

    async def script(peer: Peer) -> None:
        await peer.hello()
        for reply in ("250 ok", "250 ok", "354 go on"):
            await peer.line()
            peer.say(reply)
        await peer.reader.readuntil(b"\r\n.\r\n")

    connection = await connect(await serve(script))
    assert (await hand_off(connection, b"a@example.com")).kind == "dropped"


async def test_what_stands_behind_a_421_was_never_begun(serve: Serve, hand_off: HandOff) -> None:
    """RFC 5321 §3.8: a server that says 421 closes the channel and processes nothing after it."""

    async def script(peer: Peer) -> None:
        await peer.hello("FULL")
        for _ in range(3):
            await peer.whole()
        peer.say("250 ok", "250 ok", "250 taken", "250 reset", "421 4.3.2 going down")

    connection = await connect(await serve(script))
    outcomes = await asyncio.gather(*(hand_off(connection, b"%d@example.com" % i) for i in range(3)))
    assert kinds(outcomes) == ["accepted", "deferred", "deferred"]
    assert outcomes[1].code == 421
    assert not connection.alive


async def test_a_server_that_goes_on_after_421_is_believed(serve: Serve, hand_off: HandOff) -> None:
    """RFC 5321 §3.8 is not everyone's habit: one that took the next recipient after its 421 may have taken the message."""

    async def script(peer: Peer) -> None:
        await peer.hello("FULL")
        for _ in range(3):
            await peer.whole()
        peer.say("421 4.7.0 slow down", "503 no", "503 no", "250 reset", "250 ok", "250 ok", "250 taken", "250 reset", "250 ok", "250 ok")

    connection = await connect(await serve(script))
    outcomes = await asyncio.gather(*(hand_off(connection, b"%d@example.com" % i) for i in range(3)))
    assert kinds(outcomes) == ["deferred", "accepted", "dropped"]


@pytest.mark.parametrize(
    "garbage", ["250ok", "hello", "600 ok", "25", "250-one\r\n251 two", "354 go on", "150 wait", "\0\0\0\0", "x" * 70_000]
)
async def test_garbage_ends_the_connection(serve: Serve, hand_off: HandOff, garbage: str) -> None:
    """RFC 5321 §4.2: what is no reply, or none to this command, leaves us out of step; nothing on this connection is certain."""

    async def script(peer: Peer) -> None:
        await peer.hello("FULL")
        await peer.whole()
        await peer.whole()
        peer.say("250 ok", garbage)
        with pytest.raises(ConnectionError):
            await peer.reader.readexactly(1)

    connection = await connect(await serve(script))
    outcomes = await asyncio.gather(hand_off(connection, b"a@example.com"), hand_off(connection, b"b@example.com"))
    assert kinds(outcomes) == ["dropped", "dropped"]
    assert not connection.alive


async def test_a_reply_without_end_is_cut_off(serve: Serve, hand_off: HandOff) -> None:
    """RFC 5321 §4.2.1 sets no bound to a multi-line reply, though §4.5.3.1.5 has one for its lines; memory does."""

    async def script(peer: Peer) -> None:
        await peer.hello("FULL")
        await peer.whole()
        with pytest.raises(ConnectionError):
            while True:
                peer.say(*["250-more"] * 100)
                await peer.writer.drain()

    connection = await connect(await serve(script))
    assert (await hand_off(connection, b"a@example.com")).kind == "dropped"


@promise("S10")
def test_a_replys_text_is_short_and_names_nobody() -> None:
    """Replies are kept as reasons, unsealed; servers like to repeat the recipient in them."""
    line = b"550 5.1.1 <Jane.Doe@example.com>: user jane.doe unknown; see https://example.com/x \xff" + b"y" * 500
    text = text_of([line], b"jane.doe@example.com")
    assert "jane" not in text.lower()
    assert text.startswith("5.1.1 <address>: user <address> unknown")
    assert len(text) == 200
    assert text_of([b"250 queued for joe@example.com"]) == "queued for <address>"
