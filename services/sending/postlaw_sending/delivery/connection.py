"""One SMTP connection that hands messages over, several transactions in flight where the server can take it.

With PIPELINING and CHUNKING (RFC 2920, RFC 3030) a whole transaction is one write: MAIL, RCPT, BDAT … LAST and the message.
With PIPELINING alone MAIL, RCPT and DATA are one write; without it, every command waits for the reply before it.

A transaction that is not alone begins with RSET, in the same write (RFC 2920 §3.1 names that sequence). RFC 3030 §2 leaves a
server's state open after a BDAT that it refused: one that kept the refused message's recipient would give it the next person's mail.

Past 300 lines: one state machine over one queue; what writes, what reads and what ends it share every field.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress

from postlaw_sending.delivery.content import dot_stuffed
from postlaw_sending.delivery.dialogue import Dialogue
from postlaw_sending.delivery.paths import BadAddress, path
from postlaw_sending.delivery.relay import Relay
from postlaw_sending.delivery.replies import CLOSING, Kind, Reply, kind_of, text_of
from postlaw_sending.delivery.seven_bit import seven_bit
from postlaw_sending.delivery.transaction import DATA, FINAL, MAIL, RCPT, RSET, Transaction, always

_GOODBYE_S = 5.0  # after a 421 the server closes; so long we wait for it
_QUIT_S = 2.0
_TRANSPORTS = {None: 1, "TLSv1.2": 2, "TLSv1.3": 3}  # the contract's
_VERIFIED = 16


class Connection(Dialogue):
    """Made by `connect`. Belongs to the event loop that made it.

    `alive`: hand-offs are still taken. `under_way`: hand-offs whose `done` is still to come. `accepted`: how many were accepted.
    `tls_version`: "TLSv1.3" or the like, None in plaintext; `transport`: the same as outcomes keep it (BatchSettled.transports);
    `source`: the address that it leaves from.
    """

    def __init__(self, relay: Relay) -> None:
        super().__init__()
        self.relay = relay
        self.alive = False
        self.accepted = 0
        self.tls_version: str | None = None
        self.transport = 0
        self.source = ""
        self._queue: deque[Transaction] = deque()
        self._paused = False
        self._corked: list[bytes] | None = None
        self._goodbye = False  # the server said 421
        self._unclean = False  # the last transaction was refused: the next begins with RSET
        self._progress_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._chunks = self._pipelines = self._utf8 = self._eight_bit = self._declares_size = False
        self._size_limit = 0
        self._depth = 1

    def ready(self, offers: Mapping[str, str]) -> None:
        """The opening dialogue is over: replies now belong to transactions. `offers`: EHLO keywords with their parameters."""
        self.source = str(self._transport.get_extra_info("sockname")[0]) if self._transport is not None else ""
        self.transport = _TRANSPORTS.get(self.tls_version, 0) | (_VERIFIED if self.relay.tls == "required" else 0)
        self._pipelines = "PIPELINING" in offers
        self._chunks = "CHUNKING" in offers
        self._utf8 = "SMTPUTF8" in offers
        self._eight_bit = "8BITMIME" in offers
        self._declares_size = "SIZE" in offers
        limit = offers.get("SIZE", "")
        self._size_limit = int(limit) if limit.isdecimal() else 0  # RFC 1870 §4: 0, or nothing, is no fixed limit
        self._depth = self.relay.depth if self._pipelines and self._chunks else 1
        unasked, self._said = self._said, None
        if unasked:
            self._end("the server replied to nothing")
        self.alive = self._transport is not None

    @property
    def under_way(self) -> int:
        return len(self._queue)

    @property
    def has_room(self) -> bool:
        return self.alive and len(self._queue) < self._depth and not self._paused

    async def room(self) -> bool:
        """Wait until a hand-off can be made, or the connection has ended. True while it is alive."""
        while self.alive and (len(self._queue) >= self._depth or self._paused):
            await self._wait()
        return self.alive

    async def settled(self) -> None:
        """Wait until nothing is under way."""
        while self.alive and self._queue:
            await self._wait()

    def hand_off(
        self,
        sender: bytes,
        recipient: bytes,
        message: bytes,
        done: Callable[[Reply], None],
        may_go_on: Callable[[], bool] = always,
    ) -> None:
        """Begin one transaction: it is written before this returns. `message` is a whole RFC 5322 message with CRLF line ends.

        Where the message has to wait for a reply, `may_go_on` is asked right before it is written; a no resets the connection.
        `done` is called exactly once: before this returns where nothing had to be asked (a closed connection; an address or a
        message that the server is known not to take), else when the outcome is known. RuntimeError where there is no room.
        """
        if not self.alive:
            return _answer(done, "deferred", "the connection is closed")
        if len(self._queue) >= self._depth:
            raise RuntimeError("no room: await room() first")
        try:
            sender, utf8_sender = path(sender)
            recipient, utf8 = path(recipient)
        except BadAddress as error:
            return _answer(done, "rejected", str(error))
        if not self._eight_bit:
            message = seven_bit(message)
        size = len(message)
        if 0 < self._size_limit < size:
            return _answer(done, "rejected", "the message is larger than the server takes (SIZE)")
        parameters = b" SIZE=%d" % size if self._declares_size else b""
        if not message.isascii():
            if not self._eight_bit:
                return _answer(done, "deferred", "8BITMIME not offered, and the message has 8-bit content")
            parameters += b" BODY=8BITMIME"
        if utf8 or utf8_sender:
            if not self._utf8:
                return _answer(done, "rejected", "SMTPUTF8 not offered")
            parameters += b" SMTPUTF8"
        return self._begin(b"MAIL FROM:<%b>%b\r\n" % (sender, parameters), recipient, message, done, may_go_on)

    def cork(self) -> None:
        """Until `uncork`, hand-offs gather into one write: a system call for several messages. Nothing may be awaited in between."""
        self._corked = []

    def uncork(self) -> None:
        corked, self._corked = self._corked, None
        if corked:
            self._write(b"".join(corked))

    def reset(self) -> None:
        """End the connection with RST: what was not yet sent dies, and every hand-off under way is reported before this returns.

        The socket is closed before anything that the event loop begins from here on.
        """
        self._end("the connection was reset by us")

    def cut_off(self) -> None:
        """Reset, where a transaction that may no longer go on has bytes that are still to be written, here or in the transport.

        What is wholly written is left alone: a reset would stop none of it, and only its reply tells what became of it."""
        queue, transport = self._queue, self._transport
        if not queue or (queue[-1].exposed and (transport is None or transport.get_write_buffer_size() == 0)):
            return
        if not all(transaction.may_go_on() for transaction in queue):
            self._end("it might no longer be written")

    async def close(self) -> None:
        """Wait for what is under way, then QUIT (RFC 5321 §4.1.1.10)."""
        await self.settled()
        if self.alive:
            self.alive = False
            self._said = deque()
            with suppress(OSError, TimeoutError):  # it is only courtesy
                await self.ask(b"QUIT\r\n", _QUIT_S)
        self._end("the connection was closed by us")

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._wake()

    def _begin(self, mail: bytes, recipient: bytes, message: bytes, done: Callable[[Reply], None], may_go_on: Callable[[], bool]) -> None:
        queue = self._queue
        first = MAIL
        if queue or self._unclean:
            first = RSET
            self._unclean = False
        if not queue:
            self._progress_at = self._loop.time()
        transaction = Transaction(mail, recipient, message, done, first, may_go_on)
        queue.append(transaction)
        if self._timer is None:
            self._timer = self._loop.call_later(self.relay.reply_s, self._watch)
        if not self._pipelines:
            return self._step(transaction)
        start = b"RSET\r\n" + mail if first == RSET else mail
        if self._chunks:
            transaction.exposed = True
            return self._write(b"%bRCPT TO:<%b>\r\nBDAT %d LAST\r\n%b" % (start, recipient, len(message), message))
        return self._write(b"%bRCPT TO:<%b>\r\nDATA\r\n" % (start, recipient))

    def _step(self, transaction: Transaction) -> None:
        """Without PIPELINING: the one command whose reply is due next."""
        stage = transaction.stage
        if stage == RSET:
            self._write(b"RSET\r\n")
        elif stage == MAIL:
            self._write(transaction.mail)
        elif stage == RCPT:
            self._write(b"RCPT TO:<%b>\r\n" % transaction.recipient)
        elif stage == DATA:
            self._write(b"DATA\r\n")
        else:
            transaction.exposed = True
            self._write(b"BDAT %d LAST\r\n%b" % (len(transaction.message), transaction.message))

    def _write(self, data: bytes) -> None:
        if self._corked is not None:
            self._corked.append(data)
        elif self._transport is not None:
            self._transport.write(data)

    def _reply(self, code: int, line: bytes) -> None:
        if not self._queue:
            return self._end("the server closed the connection" if code == CLOSING else "the server replied to nothing")
        transaction = self._queue[0]
        stage = transaction.stage
        if code >= 300:
            return self._uncommon(transaction, code, line)
        if stage < RCPT:
            transaction.stage = stage + 1
        elif stage == RCPT:
            transaction.listed = True
            transaction.stage = FINAL if self._chunks else DATA
        elif stage == FINAL:
            if transaction.refusal is not None and not transaction.listed:
                return self._settle(transaction.refusal)
            self.accepted += 1
            self._unclean = False
            return self._settle(Reply("accepted", code, text_of([*self._lines, line]), time.time_ns() // 1000))
        else:
            return self._end("the server accepted DATA without asking for the message")
        if not self._pipelines:
            if not transaction.may_go_on():
                return self._end("it might no longer be written")
            self._step(transaction)
        return None

    def _uncommon(self, transaction: Transaction, code: int, line: bytes) -> None:
        """A refusal, or 354."""
        stage = transaction.stage
        if code < 400:
            if code != 354 or stage != DATA or self._goodbye:
                return self._end("the server's reply does not fit the command")
            transaction.stage = FINAL
            if transaction.refusal is not None:
                return self._write(b".\r\n")  # RFC 2920 §3.1: nobody is left to send to, yet the server waits for an end
            if not transaction.may_go_on():
                return self._end("it might no longer be written")
            transaction.exposed = True
            return self._write(dot_stuffed(transaction.message))
        if code == CLOSING and not self._goodbye:
            self._goodbye, self.alive = True, False
            self._loop.call_later(_GOODBYE_S, self._end, "the server said 421 and did not close")
        elif stage == RSET:
            return self._end("the server refused RSET")
        refusal = Reply(kind_of(code), code, text_of([*self._lines, line], transaction.recipient), time.time_ns() // 1000)
        transaction.refusal = transaction.refusal or refusal
        self._unclean = True
        if stage >= DATA or not self._pipelines:
            return self._settle(transaction.refusal)
        transaction.stage = stage + 1 if stage < RCPT or not self._chunks else FINAL
        return None

    def _settle(self, reply: Reply) -> None:
        self._report(self._queue.popleft(), reply)

    def _report(self, transaction: Transaction, reply: Reply) -> None:
        try:
            transaction.done(reply)
        except Exception as error:  # a caller's fault must not cost the others on this connection their replies
            self._loop.call_exception_handler({"message": "a hand-off's callback failed", "exception": error, "protocol": self})

    def _after_replies(self) -> None:
        self._progress_at = self._loop.time()
        if self._goodbye and not self._queue:
            return self._end("the server said 421")
        if len(self._queue) < self._depth or self._said:
            self._wake()
        return None

    def _watch(self) -> None:
        """Runs while anything is under way, about once in `reply_s`."""
        self._timer = None
        if not self._queue:
            return
        left = self._progress_at + self.relay.reply_s - self._loop.time()
        if left <= 0:
            self._end("no reply in time")
        else:
            self._timer = self._loop.call_later(left, self._watch)

    def _end(self, why: str) -> None:
        self.alive = False
        self._corked = None
        super()._end(why)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        at_us = time.time_ns() // 1000
        while self._queue:
            transaction = self._queue.popleft()
            self._report(transaction, transaction.fate(why, self._goodbye, at_us))


def _answer(done: Callable[[Reply], None], kind: Kind, text: str) -> None:
    done(Reply(kind, 0, text, time.time_ns() // 1000))
