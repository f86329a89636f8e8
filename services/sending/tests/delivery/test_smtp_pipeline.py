"""How messages are handed over: pipelined where the server can, step by step where it cannot, and never garbled.

Past 300 lines by a few: with and without each extension, the same cases stand beside each other.
"""

from __future__ import annotations

import asyncio

import pytest

from postlaw_sending.delivery import Relay, Reply, connect
from postlaw_sending.testing.smtp_peer import MESSAGE, HandOff, Peer, Serve
from services.sending.tests.messages.compiled import Person, campaign, parsed, part


async def test_whole_transactions_are_written_before_any_reply(serve: Serve, hand_off: HandOff) -> None:
    """RFC 3030 §4.2, RFC 2920 §3.1: MAIL, RCPT and BDAT need no reply in between, nor does the next transaction."""
    seen: list[tuple[bytes, bytes, bytes]] = []

    async def script(peer: Peer) -> None:
        await peer.hello("FULL")
        seen.extend([await peer.whole() for _ in range(3)])
        peer.say(*["250 ok"] * (3 + 4 + 4))

    connection = await connect(await serve(script, depth=3))
    outcomes = [hand_off(connection, b"p%d@example.com" % i) for i in range(3)]
    assert connection.under_way == 3
    assert [reply.kind for reply in await asyncio.gather(*outcomes)] == ["accepted"] * 3
    assert [rcpt for rcpt, _, _ in seen] == [b"RCPT TO:<p%d@example.com>" % i for i in range(3)]
    assert {message for _, message, _ in seen} == {MESSAGE}


async def test_a_transaction_that_is_not_alone_begins_with_rset(serve: Serve, hand_off: HandOff) -> None:
    """RFC 3030 §2: after a BDAT that failed the server's state is open; RSET keeps one person's mail from another."""
    firsts: list[bytes] = []

    async def script(peer: Peer) -> None:
        await peer.hello("FULL")
        firsts.extend([(await peer.whole())[2] for _ in range(2)])
        peer.say("250 ok", "550 5.1.1 nobody", "503 5.5.1 no valid recipient", *["250 ok"] * 4)
        firsts.append((await peer.whole())[2])
        peer.say(*["250 ok"] * 3)

    connection = await connect(await serve(script))
    refused, next_one = hand_off(connection, b"a@example.com"), hand_off(connection, b"b@example.com")
    assert (await refused).kind == "rejected"
    assert (await next_one).kind == "accepted"
    assert (await hand_off(connection, b"c@example.com")).kind == "accepted"
    assert [first.split()[0] for first in firsts] == [b"MAIL", b"RSET", b"MAIL"]


async def test_after_a_refusal_the_next_transaction_resets(serve: Serve, hand_off: HandOff) -> None:
    """RFC 3030 §2: as above, with nothing in flight in between."""

    async def script(peer: Peer) -> None:
        await peer.hello("FULL")
        await peer.whole()
        peer.say("250 ok", "250 ok", "552 5.2.2 mailbox full")
        assert (await peer.whole())[2] == b"RSET"
        peer.say(*["250 ok"] * 4)

    connection = await connect(await serve(script))
    assert (await hand_off(connection, b"a@example.com")).kind == "rejected"
    assert (await hand_off(connection, b"b@example.com")).kind == "accepted"


@pytest.mark.parametrize("offers", [(), ("CHUNKING",)])
async def test_without_pipelining_each_command_waits(serve: Serve, hand_off: HandOff, offers: tuple[str, ...]) -> None:
    """RFC 5321 §4.1.1, RFC 2920 §3.1: a server that does not offer PIPELINING gets one command at a time."""

    async def script(peer: Peer) -> None:
        await peer.hello(*offers)
        for command in (b"MAIL", b"RCPT"):
            assert (await peer.line()).startswith(command)
            assert await peer.silent()
            peer.say("250 ok")
        if offers:
            assert await peer.line() == b"BDAT %d LAST" % len(MESSAGE)
            assert await peer.reader.readexactly(len(MESSAGE)) == MESSAGE
        else:
            assert await peer.line() == b"DATA"
            assert await peer.silent()
            peer.say("354 go on")
            assert await peer.reader.readuntil(b"\r\n.\r\n") == MESSAGE.replace(b"\r\n.", b"\r\n..") + b".\r\n"
        peer.say("250 2.0.0 taken")

    connection = await connect(await serve(script, depth=8))
    outcome = hand_off(connection, b"a@example.com")
    assert not connection.has_room
    assert (await outcome)[:3] == ("accepted", 250, "2.0.0 taken")


async def test_pipelining_without_chunking_ends_a_group_with_data(serve: Serve, hand_off: HandOff) -> None:
    """RFC 2920 §3.1: DATA may only be the last of its group; RFC 5321 §4.5.2: a leading dot is doubled."""

    async def script(peer: Peer) -> None:
        await peer.hello("PIPELINING")
        assert [(await peer.line())[:4] for _ in range(3)] == [b"MAIL", b"RCPT", b"DATA"]
        assert await peer.silent()
        peer.say("250 ok", "250 ok", "354 go on")
        assert await peer.reader.readuntil(b"\r\n.\r\n") == b"..first\r\n..\r\nend\r\n.\r\n"
        peer.say("250 taken")

    connection = await connect(await serve(script))
    assert (await hand_off(connection, b"a@example.com", b".first\r\n.\r\nend")).kind == "accepted"


async def test_a_stray_line_feed_cannot_end_a_message(serve: Serve, hand_off: HandOff) -> None:
    """RFC 5321 §2.3.8: only CRLF ends a line; a bare one left in DATA could be taken for the end of the message ("smuggling")."""

    async def script(peer: Peer) -> None:
        await peer.hello("PIPELINING")
        for _ in range(3):
            await peer.line()
        peer.say("250 ok", "250 ok", "354 go on")
        assert await peer.reader.readuntil(b"\r\n.\r\n") == b"a\r\n..\r\nMAIL FROM:<x@example.com>\r\n.\r\n"
        peer.say("250 taken")

    connection = await connect(await serve(script))
    assert (await hand_off(connection, b"a@example.com", b"a\n.\nMAIL FROM:<x@example.com>\r\n")).kind == "accepted"


async def test_nobody_left_to_send_to_means_a_lone_dot(serve: Serve, hand_off: HandOff) -> None:
    """RFC 2920 §3.1: where every RCPT was refused and DATA still got 354, the client ends an empty message."""

    async def script(peer: Peer) -> None:
        await peer.hello("PIPELINING")
        for _ in range(3):
            await peer.line()
        peer.say("250 ok", "550 5.1.1 nobody", "354 go on")
        assert await peer.line() == b"."
        peer.say("554 5.5.1 no valid recipients")

    connection = await connect(await serve(script))
    reply = await hand_off(connection, b"a@example.com")
    assert (reply.kind, reply.code) == ("rejected", 550)


async def test_replies_may_fall_into_packets_anyhow(serve: Serve, hand_off: HandOff) -> None:
    """RFC 5321 §4.2.1: multi-line replies; TCP keeps no boundaries, so every octet here is a packet of its own."""

    async def script(peer: Peer) -> None:
        await peer.hello("FULL")
        await peer.whole()
        for octet in b"250-2.1.0\r\n250 ok\r\n250 ok\r\n250-2.0.0 queued\r\n250 as 17\r\n":
            peer.writer.write(bytes([octet]))
            await peer.writer.drain()
            await asyncio.sleep(0)

    connection = await connect(await serve(script))
    assert (await hand_off(connection, b"a@example.com"))[:3] == ("accepted", 250, "2.0.0 queued as 17")


async def test_parameters_follow_the_message_and_the_offers(serve: Serve, hand_off: HandOff) -> None:
    """RFC 6531 §3.4, RFC 6152 §2, RFC 1870 §6: SMTPUTF8, BODY=8BITMIME and SIZE only where needed and offered."""
    lines: list[bytes] = []

    async def script(peer: Peer) -> None:
        await peer.hello("FULL")
        await peer.whole()
        await peer.whole()
        lines.extend(line for line in peer.heard if line[:4] in (b"MAIL", b"RCPT"))
        peer.say(*["250 ok"] * 7)

    connection = await connect(await serve(script))
    outcomes = [
        hand_off(connection, "jörg@bücher.example".encode(), "é".encode()),
        hand_off(connection, "joe@bücher.example".encode(), b"e"),
    ]
    await asyncio.gather(*outcomes)
    assert lines == [
        b"MAIL FROM:<bounce+1@example.org> SIZE=2 BODY=8BITMIME SMTPUTF8",
        "RCPT TO:<jörg@xn--bcher-kva.example>".encode(),
        b"MAIL FROM:<bounce+1@example.org> SIZE=1",
        b"RCPT TO:<joe@xn--bcher-kva.example>",
    ]


async def test_what_the_server_cannot_take_is_never_begun(serve: Serve, hand_off: HandOff) -> None:
    """RFC 6531 §3.2, RFC 6152 §3, RFC 1870 §6.1: known beforehand, so nothing is sent and the answer is certain."""

    async def script(peer: Peer) -> None:
        await peer.hello("PIPELINING", "CHUNKING", "SIZE 100")
        with pytest.raises(ConnectionResetError):
            await peer.reader.readexactly(1)

    connection = await connect(await serve(script))
    outcomes = [
        hand_off(connection, "jörg@example.com".encode()),
        hand_off(connection, b"a@example.com", "é".encode()),
        hand_off(connection, b"a@example.com", b"x" * 101),
        *(hand_off(connection, bad) for bad in (b"a@b>\r\nRCPT TO:<c@d", b"a b@example.com", b"a@b\r\nDATA", b"nobody", b"<a@b>")),
    ]
    assert [outcome.result().kind for outcome in outcomes] == ["rejected", "deferred", *["rejected"] * 6]
    assert outcomes[0].result().text == "SMTPUTF8 not offered"
    connection.reset()


@pytest.mark.parametrize("offers", [("PIPELINING", "CHUNKING"), ("PIPELINING",), ("CHUNKING",), ()])
async def test_without_8bitmime_a_message_arrives_the_same_in_seven_bits(serve: Serve, hand_off: HandOff, offers: tuple[str, ...]) -> None:
    """RFC 6152 §3: it is made to pass, in quoted-printable or base64 (RFC 2045 §6.7, §6.8), whichever else the server has not."""
    message = campaign(text="Grüße {{ name }},\n.\n", html="<p>Привет {{ name }}</p>").render(Person(fields={"name": "Zoë"}))
    took: list[tuple[bytes, bytes]] = []

    async def script(peer: Peer) -> None:
        await peer.hello(*offers)
        mail = await peer.line()
        if "PIPELINING" not in offers:
            peer.say("250 ok")
        await peer.line()
        if "PIPELINING" not in offers:
            peer.say("250 ok")
        last = await peer.line()
        if "PIPELINING" in offers:
            peer.say("250 ok", "250 ok")
        if last == b"DATA":
            peer.say("354 go on")
            taken = (await peer.reader.readuntil(b"\r\n.\r\n"))[:-3].replace(b"\r\n..", b"\r\n.")
        else:
            taken = await peer.reader.readexactly(int(last.split()[1]))
        took.append((mail, taken))
        peer.say("250 taken")

    connection = await connect(await serve(script))
    assert (await hand_off(connection, b"a@example.com", message)).kind == "accepted"
    [(mail, taken)] = took
    assert mail == b"MAIL FROM:<bounce+1@example.org>" and taken.isascii()
    was, read = parsed(message), parsed(taken)
    assert not [defect for part in read.walk() for defect in part.defects]
    assert [part(read, kind) for kind in ("plain", "html")] == [part(was, kind) for kind in ("plain", "html")]
    encodings = [each["Content-Transfer-Encoding"] for each in read.walk() if not each.is_multipart()]
    assert encodings == ["quoted-printable", "quoted-printable"]
    assert max(map(len, taken.split(b"\r\n"))) <= 998


@pytest.mark.parametrize("offer", ["SIZE", "SIZE 0", "SIZE many"])
async def test_a_server_that_names_no_largest_size_is_given_any_and_left_with_quit(serve: Serve, hand_off: HandOff, offer: str) -> None:
    """RFC 1870 §4: without a number, or with 0, there is no fixed limit; RFC 5321 §4.1.1.10: QUIT ends the session."""
    said: list[bytes] = []

    async def script(peer: Peer) -> None:
        await peer.hello("PIPELINING", "CHUNKING", offer)
        await peer.whole()
        peer.say(*["250 ok"] * 3)
        said.append(await peer.line())
        peer.say("221 bye")

    connection = await connect(await serve(script))
    assert (await hand_off(connection, b"a@example.com", b"x" * 200_000)).kind == "accepted"
    await connection.close()
    assert said == [b"QUIT"]


async def test_room_waits_for_a_reply_and_gathered_hand_offs_are_one_write(serve: Serve, hand_off: HandOff) -> None:
    """RFC 2920 §3.1: a group of commands is best one send. No more than `depth` are in flight."""
    go_on = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.hello("FULL")
        await peer.whole()
        await peer.whole()
        await go_on.wait()
        peer.say(*["250 ok"] * 7)
        await peer.line()  # QUIT
        peer.say("221 bye")

    connection = await connect(await serve(script, depth=2))
    connection.cork()
    outcomes = [hand_off(connection, b"a@example.com"), hand_off(connection, b"b@example.com")]
    connection.uncork()
    waiting = asyncio.ensure_future(connection.room())
    await asyncio.sleep(0.01)
    assert not waiting.done() and not connection.has_room
    with pytest.raises(RuntimeError):
        connection.hand_off(b"", b"c@example.com", MESSAGE, lambda reply: None)
    go_on.set()
    assert await waiting
    await asyncio.gather(*outcomes)
    await connection.close()
    assert not connection.alive and connection.accepted == 2


async def test_a_callback_that_fails_costs_no_other_its_reply(serve: Serve, hand_off: HandOff) -> None:
    """Every hand-off is reported exactly once, whatever a caller's code does."""

    async def script(peer: Peer) -> None:
        await peer.hello("FULL")
        await peer.whole()
        await peer.whole()
        peer.say(*["250 ok"] * 7)

    def broken(reply: Reply) -> None:
        raise KeyError("a caller's fault")

    noticed: list[Exception] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: noticed.append(context["exception"]))
    connection = await connect(await serve(script))
    connection.hand_off(b"", b"a@example.com", MESSAGE, broken)
    assert (await hand_off(connection, b"b@example.com")).kind == "accepted"
    assert isinstance(noticed[0], KeyError)


def test_a_relay_needs_a_depth() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Relay("localhost", depth=0)
