"""The mail catcher of `postlaw dev`, spoken to by the standard library's client, by our engine, and octet by octet."""

from __future__ import annotations

import asyncio
import smtplib
import time
from collections.abc import AsyncIterator

import pytest

from postlaw_common.testing.patience import patience
from postlaw_mesh.catcher import KEPT_WHOLE, Catcher
from postlaw_sending.delivery import Relay, Reply, connect

MESSAGE = b"Subject: x\r\n\r\nHello\r\n.\r\n..two\r\n.end\r\n"


@pytest.fixture
async def catcher() -> AsyncIterator[tuple[Catcher, int]]:
    catcher = Catcher()
    yield catcher, await catcher.start()
    await catcher.stop()


async def test_a_message_is_kept_as_it_was_sent(catcher: tuple[Catcher, int]) -> None:
    """RFC 5321 §4.5.2 transparency, by the standard library's client (DATA)."""
    caught, port = catcher

    def send() -> None:
        with smtplib.SMTP("127.0.0.1", port) as client:
            client.sendmail("a@example.org", ["b@example.com", "c@example.com"], MESSAGE)
            client.sendmail("a@example.org", ["d@example.com"], b".\r\n")

    before = time.time_ns()
    await asyncio.to_thread(send)
    first, second = caught.last
    assert (first.sender, first.recipients, first.message) == ("a@example.org", ["b@example.com", "c@example.com"], MESSAGE)
    assert second.message == b".\r\n"
    assert [(record.recipient, record.size) for record in caught.records()] == [
        ("b@example.com", len(MESSAGE)),
        ("c@example.com", len(MESSAGE)),
        ("d@example.com", 3),
    ]
    assert before < first.begin_ns <= first.end_ns < time.time_ns()
    assert caught.message(1) == first and caught.message(3) is None and caught.message(0) is None


@pytest.mark.parametrize("chunked", [True, False])
async def test_packets_may_fall_anyhow(catcher: tuple[Catcher, int], chunked: bool) -> None:
    """TCP keeps no boundaries: every octet here is a packet of its own. RFC 3030 §2 for BDAT in two chunks."""
    caught, port = catcher
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    stuffed = MESSAGE.replace(b"\r\n.", b"\r\n..")
    start = b"EHLO x\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.com>\r\n"
    whole = (
        b"BDAT 4\r\n%bBDAT %d LAST\r\n%b" % (MESSAGE[:4], len(MESSAGE) - 4, MESSAGE[4:]) if chunked else b"DATA\r\n" + stuffed + b".\r\n"
    )
    for octet in start + whole + b"NOOP\r\nQUIT\r\n":
        writer.write(bytes([octet]))
        await writer.drain()
    said = (await reader.read()).decode().splitlines()
    assert [line[:3] for line in said if line[3] == " "] == ["220", "250", "250", "250", "250" if chunked else "354", "250", "250", "221"]
    assert caught.last[0].message == MESSAGE
    writer.close()


@pytest.mark.parametrize(
    ("lines", "codes"),
    [
        (b"RCPT TO:<a@b>\r\nDATA\r\nBDAT 2 LAST\r\nxxBDAT x\r\nWHAT\r\n", ["503", "503", "503", "501", "502"]),
        (b"MAIL FROM:<>\r\nMAIL FROM:<>\r\nRSET\r\nMAIL FROM:<>\r\nDATA\r\n", ["250", "503", "250", "250", "503"]),
        (b"x" * 5000 + b"\r\n", ["500"]),
        (b"HELO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nBDAT 0 LAST\r\n", ["250", "250", "250", "250"]),
    ],
)
async def test_commands_out_of_order_are_refused(catcher: tuple[Catcher, int], lines: bytes, codes: list[str]) -> None:
    """RFC 5321 §4.1.4, RFC 3030 §2: 503, and the connection goes on."""
    _, port = catcher
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(lines)
    await reader.readline()
    for code in codes:
        assert (await reader.readline()).decode()[:3] == code
    writer.close()


async def test_only_the_last_thousand_are_kept_whole_and_all_are_counted(catcher: tuple[Catcher, int]) -> None:
    caught, port = catcher
    connection = await connect(Relay("127.0.0.1", port, tls="none"))
    replies: list[Reply] = []
    for number in range(KEPT_WHOLE + 500):
        await connection.room()
        connection.hand_off(b"a@example.org", b"p%d@example.com" % number, b"Subject: %d\r\n\r\n" % number, replies.append)
    await connection.close()
    assert {reply.kind for reply in replies} == {"accepted"} and len(replies) == KEPT_WHOLE + 500
    assert caught.count == KEPT_WHOLE + 500 == len(list(caught.records()))
    assert len(caught.last) == KEPT_WHOLE
    assert caught.message(500) is None
    kept = caught.message(501)
    assert kept is not None and kept.message == b"Subject: 500\r\n\r\n"
    caught.clear()
    assert caught.count == 0 and not list(caught.records()) and caught.message(501) is None


async def test_it_stops_at_once_whoever_is_connected() -> None:
    caught = Catcher()
    port = await caught.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await reader.readline()
    async with patience():
        await caught.stop()
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", port)
    writer.close()


async def test_a_port_in_use_is_an_os_error(catcher: tuple[Catcher, int]) -> None:
    with pytest.raises(OSError):
        await Catcher().start("127.0.0.1", catcher[1])
