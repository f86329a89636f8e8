"""From nothing to a connection that takes mail: greeting, EHLO, STARTTLS by policy, and coming back after trouble."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from postlaw_common.testing.promises import promise
from postlaw_sending.delivery import CannotConnect, Lane, Lanes, Relay, TlsPolicy, connect
from postlaw_sending.testing.certificates import certificate_of
from postlaw_sending.testing.smtp_peer import HandOff, Peer, Serve


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, str]:
    """A server's context, and the PEM file that verifies it."""
    return certificate_of(tmp_path_factory.mktemp("tls"), "127.0.0.1")


async def tls_script(peer: Peer, context: ssl.SSLContext) -> None:
    await peer.hello("STARTTLS", "PIPELINING")
    assert await peer.line() == b"STARTTLS"
    peer.say("220 go ahead")
    await peer.writer.start_tls(context)
    assert (await peer.line()).startswith(b"EHLO ")
    peer.say("250-peer", "250-PIPELINING", "250 CHUNKING")
    await peer.whole()
    peer.say("250 ok", "250 ok", "250 taken")


@promise("X1", "S2")
@pytest.mark.parametrize("policy", ["opportunistic", "required"])
async def test_tls_where_the_policy_allows_and_the_server_offers(
    serve: Serve, hand_off: HandOff, certificate: tuple[ssl.SSLContext, str], policy: TlsPolicy
) -> None:
    """RFC 3207 §4: STARTTLS, EHLO again, and only what is offered then counts. TLS 1.2 or better; the version is kept."""
    context, ca = certificate
    connection = await connect(await serve(lambda peer: tls_script(peer, context), tls=policy, tls_ca=ca))
    assert connection.tls_version in ("TLSv1.2", "TLSv1.3")
    assert (await hand_off(connection, b"a@example.com")).kind == "accepted"
    connection.reset()


@promise("X1", "S2")
async def test_required_tls_refuses_a_certificate_that_does_not_verify(serve: Serve, certificate: tuple[ssl.SSLContext, str]) -> None:
    """RFC 3207 §4.1: the client decides what is authenticated enough; required means verified."""
    context, _ = certificate

    async def script(peer: Peer) -> None:
        with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
            await tls_script(peer, context)

    with pytest.raises(CannotConnect, match="TLS with"):
        await connect(await serve(script, tls="required"))


@promise("X1", "S2")
async def test_required_tls_never_falls_back_to_plaintext(serve: Serve) -> None:
    """RFC 3207 §6: an attacker in between may take the offer out; required means no mail then."""

    async def script(peer: Peer) -> None:
        await peer.hello("PIPELINING")
        with pytest.raises(ConnectionError):
            await peer.line()

    with pytest.raises(CannotConnect, match="does not offer STARTTLS"):
        await connect(await serve(script, tls="required"))


async def test_a_refused_starttls_follows_the_policy(serve: Serve) -> None:
    """RFC 3207 §4: 454 means no TLS now."""

    async def script(peer: Peer) -> None:
        await peer.hello("STARTTLS", "PIPELINING")
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            while await peer.line() == b"STARTTLS":
                peer.say("454 4.7.0 not now")

    with pytest.raises(CannotConnect, match="refused with 454"):
        await connect(await serve(script, tls="required"))
    connection = await connect(await serve(script, tls="opportunistic"))
    assert connection.alive and connection.tls_version is None
    connection.reset()


async def test_opportunistic_tls_falls_back_to_plaintext(serve: Serve) -> None:
    """RFC 7435 §3: where TLS fails, mail without it; the connection says so."""
    connections = 0

    async def script(peer: Peer) -> None:
        nonlocal connections
        connections += 1
        await peer.hello("STARTTLS", "PIPELINING", "CHUNKING")
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            if await peer.line() == b"STARTTLS":
                peer.say("220 go ahead")
                await peer.reader.read(10_000)
                peer.writer.write(b"this is not TLS at all, whatever it is\r\n" * 10)
            await peer.reader.readexactly(100_000)

    connection = await connect(await serve(script, tls="opportunistic"))
    assert connection.tls_version is None and connection.alive
    assert connections == 2
    connection.reset()


async def test_nothing_in_plaintext_counts_after_starttls(serve: Serve, certificate: tuple[ssl.SSLContext, str]) -> None:
    """RFC 3207 §4.2 (and CVE-2011-0411): replies slipped in before the handshake must not be taken for the server's."""

    async def script(peer: Peer) -> None:
        await peer.hello("STARTTLS")
        await peer.line()
        peer.say("220 go ahead", "250-peer", "250 PIPELINING")
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await peer.reader.readexactly(10_000)

    with pytest.raises(CannotConnect, match="plaintext"):
        await connect(await serve(script, tls="required", tls_ca=certificate[1]))


async def test_a_server_that_only_knows_helo(serve: Serve, hand_off: HandOff) -> None:
    """RFC 5321 §3.2: a client falls back to HELO, and then uses no extension."""

    async def script(peer: Peer) -> None:
        peer.say("220-peer greets", "220 in two lines")
        assert await peer.line() == b"EHLO mail.example.org"
        peer.say("502 5.5.1 not known")
        assert await peer.line() == b"HELO mail.example.org"
        peer.say("250 peer")
        assert await peer.line() == b"MAIL FROM:<bounce+1@example.org>"
        peer.say("550 5.7.1 not you")

    connection = await connect(await serve(script, ehlo="mail.example.org"))
    assert (await hand_off(connection, b"a@example.com")).kind == "rejected"


@pytest.mark.parametrize(
    ("greeting", "why"),
    [
        ("554 5.3.2 no service", "greeted with 554"),
        ("421 4.3.2 busy", "greeted with 421"),
        ("ERR what?", "closed"),
        ("", "no answer in time"),
    ],
)
async def test_a_server_that_does_not_greet_well(serve: Serve, greeting: str, why: str) -> None:
    """RFC 5321 §3.1: only 220 opens a session; §4.5.3.2.1: the wait for it has an end."""

    async def script(peer: Peer) -> None:
        if greeting:
            peer.say(greeting)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await peer.reader.readexactly(1)

    with pytest.raises(CannotConnect, match=why):
        await connect(await serve(script, greeting_s=0.2))


async def test_a_server_that_hangs_up_with_its_hello(serve: Serve) -> None:
    """RFC 5321 §3.8: 421 may come at any time, also in the same packet as the reply before it."""

    async def script(peer: Peer) -> None:
        peer.say("220 peer")
        await peer.line()
        peer.say("250-peer", "250 CHUNKING", "421 4.3.2 on second thoughts")
        with pytest.raises(ConnectionError):
            await peer.reader.readexactly(1)

    with pytest.raises(CannotConnect, match="right after its greeting"):
        await connect(await serve(script))


async def test_nobody_listens() -> None:
    with pytest.raises(CannotConnect, match=r"127\.0\.0\.1:1"):
        await connect(Relay("127.0.0.1", 1, tls="none"))


async def test_a_lane_waits_longer_each_time_and_comes_back(serve: Serve) -> None:
    """RFC 5321 §4.5.4.1: retries are spaced out. A server that greets and hangs up is not hammered either."""
    waits: list[float] = []

    async def script(peer: Peer) -> None:
        await peer.hello("FULL")

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            lane._relay = await serve(script)  # pyright: ignore[reportPrivateUsage]

    lane = Lane(Relay("127.0.0.1", 1, tls="none"), connect, sleep)
    first = await lane.connection()
    assert lane.trouble == "" and len(waits) == 3
    assert all(low / 2 <= wait <= low for wait, low in zip(waits, (0.1, 0.2, 0.4), strict=True))
    while first.alive:  # it hangs up without having taken a message
        await asyncio.sleep(0.01)
    await lane.connection()
    assert len(waits) == 4 and waits[3] >= 0.4


async def test_a_connection_that_was_of_use_is_made_again_at_once(serve: Serve, hand_off: HandOff) -> None:
    """Many servers take so many messages a connection and then say 421: that is no trouble."""

    async def script(peer: Peer) -> None:
        await peer.hello("FULL")
        await peer.whole()
        peer.say("250 ok", "250 ok", "250 taken", "421 enough for one connection")

    async def sleep(seconds: float) -> None:
        raise AssertionError("there was nothing to wait for")

    lane = Lane(await serve(script), connect, sleep)
    for _ in range(3):
        assert (await hand_off(await lane.connection(), b"a@example.com")).kind == "accepted"
        while lane.current is not None:
            await asyncio.sleep(0.01)


async def test_all_lanes_end_at_once(serve: Serve, hand_off: HandOff) -> None:
    """Design §3, rule 4: a worker that lost its permit lets go of everything in one step."""

    async def script(peer: Peer) -> None:
        await peer.hello("FULL")
        with pytest.raises(ConnectionError):
            await peer.reader.readexactly(10_000)

    lanes = Lanes(await serve(script, connections=3))
    outcomes = [hand_off(await lane.connection(), b"a@example.com") for lane in lanes.lanes]
    assert lanes.under_way == 3
    lanes.reset()
    assert lanes.under_way == 0
    assert [outcome.result().kind for outcome in outcomes] == ["dropped"] * 3
    await lanes.close()
