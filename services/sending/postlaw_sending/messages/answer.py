"""A person's answer to a campaign, passed on to the customer's own people: its words as they came, in an envelope of ours.

It comes from the campaign's sender, whose domain we sign for, so that no rule of the answering person's domain (DMARC, RFC 7489 §6.6)
refuses it; whoever answers it writes to the person.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from typing import Final

from postlaw_sending.delivery.paths import BadAddress, path
from postlaw_sending.messages.campaign import Recipient
from postlaw_sending.messages.headers import phrase, unstructured
from postlaw_sending.messages.return_path import ReturnPaths
from postlaw_sending.messages.templates import RenderFailed

PASSED_ON: Final = "Postlaw-Passed-On"  # a header by which we know our own, should it come back to us as an answer


@dataclass(frozen=True, slots=True)
class Answer:
    """`sender_name`, `sender_address`: the campaign's. `name`: what we call who answered. `reply_to`: where they are answered, "" where
    that cannot stand in a header. `content`: RFC 2045's headers, an empty line, and the body; CRLF line ends, 7 bits."""

    message_id: str
    contact: str
    sender_name: str
    sender_address: str
    name: str
    reply_to: str
    subject: str
    content: bytes


class CompiledAnswer:
    """As CompiledCampaign, for its one recipient. `now`: seconds since the epoch."""

    def __init__(self, answer: Answer, return_paths: ReturnPaths, now: Callable[[], float] = time.time) -> None:
        self._answer = answer
        self._return_paths = return_paths
        self._now = now
        self._id = answer.message_id.rpartition("_")[2].encode()
        self.sender_domain = answer.sender_address.rpartition("@")[2].lower()

    def render(self, recipient: Recipient) -> bytes:
        """One whole RFC 5322 message. Raises RenderFailed."""
        answer = self._answer
        to, sender = _in_header(recipient.address), _in_header(answer.sender_address)
        reply_to = b"Reply-To: <%b>\r\n" % _in_header(answer.reply_to) if answer.reply_to else b""
        return b"".join(
            [
                b"From: %b <%b>\r\n" % (phrase(f"{answer.name} via {answer.sender_name}"), sender),
                reply_to,
                b"To: <%b>\r\nSubject: %b\r\n" % (to, unstructured(answer.subject, 9)),
                b"Date: %b\r\n" % formatdate(self._now()).encode(),
                b"Message-ID: <%b@%b>\r\n" % (self._id, self.sender_domain.encode()),
                b"%b: answer\r\nMIME-Version: 1.0\r\n" % PASSED_ON.encode(),
                answer.content,
            ]
        )

    def envelope_from(self, recipient: Recipient) -> bytes:
        """The return path of this message (return_path.py)."""
        return self._return_paths.of_single(self._id, recipient.address_key, self.sender_domain.encode())


def _in_header(address: str) -> bytes:
    try:
        made, _ = path(address.encode())
    except (BadAddress, UnicodeError) as wrong:
        raise RenderFailed("an address cannot be mailed") from wrong
    if not made:
        raise RenderFailed("an address cannot be mailed")
    return made
