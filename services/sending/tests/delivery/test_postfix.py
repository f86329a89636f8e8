"""A real Postfix takes a campaign's messages from the engine and relays them: what arrives behind it is what we signed."""

from __future__ import annotations

import asyncio
import email
import email.policy
from collections.abc import Callable
from contextlib import AbstractContextManager

import dkim

from postlaw_common.testing.patience import patience
from postlaw_common.testing.promises import promise
from postlaw_sending.delivery import Relay, Reply, connect
from postlaw_sending.domains.key_pairs import new_rsa
from postlaw_sending.messages.dkim import DkimKey, signed
from postlaw_sending.testing.smtp_peer import HandOff
from services.sending.tests.messages.compiled import Person, campaign

RSA = new_rsa()
PEOPLE = [f"user{i}@a.example" for i in range(20)]


class Behind:
    """The server that Postfix relays to: of each message its recipient and its bytes."""

    def __init__(self) -> None:
        self.taken: dict[str, bytes] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 behind\r\n")
        recipient = ""
        while line := await reader.readline():
            verb = line[:4].upper()
            if verb == b"EHLO":
                writer.write(b"250-behind\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n")
            elif verb == b"RCPT":
                recipient = line.partition(b"<")[2].partition(b">")[0].decode()
                writer.write(b"250 ok\r\n")
            elif verb == b"DATA":
                writer.write(b"354 go on\r\n")
                lines: list[bytes] = []
                while (line := await reader.readline()) != b".\r\n":
                    lines.append(line.removeprefix(b"."))
                self.taken[recipient] = b"".join(lines)
                writer.write(b"250 ok\r\n")
            else:
                writer.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")


@promise("M1", "M5")
async def test_a_real_postfix_takes_and_relays_what_we_signed(
    postfix_to: Callable[..., AbstractContextManager[int]], hand_off: HandOff
) -> None:
    """RFC 5321, 2920, 3030 and 6531 as Postfix understands them; one recipient that it refuses costs no other anything."""
    behind = Behind()
    server = await asyncio.start_server(behind.serve, "127.0.0.1", 0)
    compiled = campaign(subject="Grüße {{ name }}")
    keys = [DkimKey(RSA.private, "blumen.example", "r")]
    refuse = {"smtpd_recipient_restrictions": f"check_recipient_access inline:{{{PEOPLE[5]}=REJECT}}, permit_mynetworks, reject"}
    everybody = [*PEOPLE, "jörg@a.example"]
    with postfix_to(server.sockets[0].getsockname()[1], **refuse) as port:
        connection = await connect(Relay("127.0.0.1", port, tls="none"))
        outcomes: list[asyncio.Future[Reply]] = []
        for address in everybody:
            assert await connection.room()
            message = signed(compiled.render(Person(address, {"name": "Ada"})), keys, lambda: 1_700_000_000)
            outcomes.append(hand_off(connection, address.encode(), message))
        replies = await asyncio.gather(*outcomes)
        await connection.close()
        async with patience():
            while len(behind.taken) < len(everybody) - 1:
                await asyncio.sleep(0.05)
    server.close()
    assert [reply.kind for reply in replies] == ["rejected" if i == 5 else "accepted" for i in range(len(everybody))]
    assert sorted(behind.taken) == sorted(address for address in everybody if address != PEOPLE[5])
    for address, message in behind.taken.items():
        assert dkim.verify(message, dnsfunc=lambda name, timeout=5: RSA.record.encode())
        read = email.message_from_bytes(message, policy=email.policy.SMTPUTF8 if not address.isascii() else email.policy.SMTP)
        assert (str(read["To"]), read["Subject"], [part.defects for part in read.walk()]) == (address, "Grüße Ada", [[]] * 3)
