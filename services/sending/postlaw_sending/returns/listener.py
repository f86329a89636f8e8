"""The server that takes returned mail (RFC 5321): only for addresses that prove themselves, and 250 only once the mail is durable.

Anybody may connect. So there are limits to size, to connections, to commands, to wrong addresses, and to messages a minute; who reaches
one is told to try later, which every server does that has something to return.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

from aiosmtpd.smtp import SMTP, Envelope, Session

from postlaw_common.keys import KeysUnavailable
from postlaw_common.store import StoreUnavailable
from postlaw_common.telemetry import get_logger, meter
from postlaw_sending.messages.return_path import ReturnPaths, SentMessage
from postlaw_sending.reports.documents import Full
from postlaw_sending.reports.report import Malformed
from postlaw_sending.returns.answers.taking import TAKEN
from postlaw_sending.returns.proofs import Proof, proof_in

LARGEST_MAIL: Final = 5 << 20  # octets; a report may return the whole message, and none of ours is half as large
MOST_CONNECTIONS: Final = 200
MOST_FROM_ONE: Final = 20  # connections of one address
MOST_A_MINUTE: Final = 1_200  # messages of one address
MOST_WRONG: Final = 10  # recipients of a connection that are none of ours
_COMMANDS: Final = {"*": 50, "MAIL": 1_000, "RCPT": 1_000, "DATA": 1_000, "RSET": 1_000}
_IDLE_S: Final = 120.0

_log = get_logger("sending.returns")
_taken = meter("postlaw.sending").create_counter(
    "postlaw.sending.returns.received",
    unit="{message}",
    description="Mail at the return path, by answer (taken, unknown, unproven, unreadable, refused, busy, unavailable)",
)


@dataclass(frozen=True, slots=True)
class Inbox:
    """Where we listen, the name that we greet with, and the certificate that STARTTLS shows: two PEM files, or "" for no TLS."""

    host: str
    port: int
    name: str
    certificate: str = ""
    key: str = ""


class Listener:
    """`take`: makes a mail durable, with what proves it to be about a message of ours. `take_report`: TakeReports. `answer`: TakeAnswer."""

    def __init__(
        self,
        inbox: Inbox,
        paths: ReturnPaths,
        take: Callable[[Proof, bytes], Awaitable[None]],
        take_report: Callable[[str, bytes], Awaitable[None]],
        answer: Callable[[SentMessage, str, bytes], Awaitable[str]],
    ) -> None:
        self._inbox = inbox
        self._paths = paths
        self._take = take
        self._take_report = take_report
        self._answer = answer
        self._connected: Counter[str] = Counter()
        self._minute: tuple[int, Counter[str]] = (0, Counter())
        self.port = 0  # once it listens

    async def run(self) -> None:
        """Listens until it is cancelled."""
        loop = asyncio.get_running_loop()
        logging.getLogger("mail.log").setLevel(logging.WARNING)  # aiosmtpd's, which tells of every address otherwise
        tls = _context(self._inbox)
        server = await loop.create_server(lambda: _Connection(self, self._inbox.name, tls, loop), self._inbox.host, self._inbox.port)
        self.port = server.sockets[0].getsockname()[1]
        _log.info("returned mail is taken", host=self._inbox.host, port=self.port, tls=tls is not None)
        try:
            await server.serve_forever()
        finally:
            server.close()

    def admit(self, peer: str) -> bool:
        """Whether one more connection of this address is taken."""
        if self._connected.total() >= MOST_CONNECTIONS or self._connected[peer] >= MOST_FROM_ONE:
            return False
        self._connected[peer] += 1
        return True

    def gone(self, peer: str) -> None:
        self._connected[peer] -= 1
        if not self._connected[peer]:
            del self._connected[peer]

    async def handle_EHLO(
        self, server: _Connection, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [line for line in responses if not line[4:].startswith("AUTH")]  # nobody has a password here

    async def handle_RCPT(self, server: _Connection, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        if server.wrong >= MOST_WRONG:  # whoever guesses learns no more from this connection
            return "421 4.7.0 Too many wrong addresses"
        answers = self._paths.read_answer(address) is not None
        if envelope.rcpt_tos and (answers or self._paths.read_answer(envelope.rcpt_tos[0]) is not None):
            return "452 4.5.3 One answer at a time"  # RFC 5321 §4.5.3.1.10: the rest comes in a transaction of its own
        if not (answers or self._paths.read(address) or self._paths.mailbox(address) or self._paths.read_reports(address)):
            server.wrong += 1
            _taken.add(1, {"answer": "unknown"})
            return "550 5.1.1 There is no such address here"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: _Connection, session: Session, envelope: Envelope) -> str:
        if not self._in_time(server.peer_address):
            _taken.add(1, {"answer": "busy"})
            return "451 4.7.1 Too much mail at once, try again later"
        content = envelope.original_content or b""
        answered = self._paths.read_answer(envelope.rcpt_tos[0])
        if answered is not None:
            return await self._kept(self._answer(answered, envelope.mail_from or "", content))
        reported_to = {tenant_id for address in envelope.rcpt_tos if (tenant_id := self._paths.read_reports(address))}
        proofs = [await self._proof(address, content) for address in envelope.rcpt_tos]
        if not any(proofs) and not reported_to:
            _taken.add(1, {"answer": "unproven"})
            return "550 5.7.1 This is about no message of ours; the link at the end of each message works"
        return await self._kept(self._all_taken([about for about in proofs if about], reported_to, content))

    async def _all_taken(self, about: Sequence[Proof], reported_to: Collection[str], content: bytes) -> str:
        for one in about:
            await self._take(one, content)
        for tenant_id in reported_to:
            await self._take_report(tenant_id, content)
        return TAKEN

    async def _kept(self, taking: Awaitable[str]) -> str:
        try:
            said = await taking
        except Malformed as wrong:
            _taken.add(1, {"answer": "unreadable"})
            return f"550 5.6.0 This is no report that is taken here: {wrong}"
        except Full:
            _taken.add(1, {"answer": "busy"})
            return "452 4.2.2 Too many reports today, try again later"
        except (StoreUnavailable, KeysUnavailable) as away:
            _log.warning("returned mail cannot be kept now", failure=type(away).__name__)
            _taken.add(1, {"answer": "unavailable"})
            return "451 4.3.0 Cannot be kept now, try again later"
        _taken.add(1, {"answer": "taken" if said == TAKEN else "refused"})
        return said

    async def _proof(self, address: str, content: bytes) -> Proof | None:
        mailbox = self._paths.mailbox(address)
        return self._paths.read(address) if mailbox is None else await asyncio.to_thread(proof_in, mailbox, content, self._paths.read)

    async def handle_exception(self, error: Exception) -> str:
        _log.error("a mail could not be taken", exc_info=error)
        return "451 4.3.0 Cannot be kept now, try again later"

    def _in_time(self, peer: str) -> bool:
        minute = int(time.monotonic() // 60)
        if self._minute[0] != minute:
            self._minute = (minute, Counter())
        self._minute[1][peer] += 1
        return self._minute[1][peer] <= MOST_A_MINUTE


class _Connection(SMTP):
    """One client's. What it reads beyond a limit of its own, aiosmtpd refuses: line length, size (RFC 1870), commands."""

    def __init__(self, listener: Listener, name: str, tls: ssl.SSLContext | None, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            listener,
            data_size_limit=LARGEST_MAIL,
            enable_SMTPUTF8=True,
            hostname=name,
            ident="ESMTP",
            tls_context=tls,
            timeout=_IDLE_S,
            auth_exclude_mechanism=["LOGIN", "PLAIN"],
            command_call_limit=_COMMANDS,
            loop=loop,
        )
        self._listener = listener
        self._admitted = False
        self.peer_address = ""
        self.wrong = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not self.peer_address:  # STARTTLS calls this a second time
            self.peer_address = str((transport.get_extra_info("peername") or ("?",))[0])
            self._admitted = self._listener.admit(self.peer_address)
            if not self._admitted and isinstance(transport, asyncio.WriteTransport):
                transport.write(b"421 4.7.0 Too many connections, try again later\r\n")
                transport.close()
                return
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self._admitted:
            self._admitted = False
            self._listener.gone(self.peer_address)
            super().connection_lost(error)


def _context(inbox: Inbox) -> ssl.SSLContext | None:
    if not inbox.certificate:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(inbox.certificate, inbox.key or None)
    return context
