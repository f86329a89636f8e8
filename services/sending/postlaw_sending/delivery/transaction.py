"""One mail transaction on a connection: how far it is, and what becomes of it when the connection goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from postlaw_sending.delivery.replies import Kind, Reply

# The reply that is due next. In this order; a stage whose command was not sent is passed over.
RSET: Final = 0
MAIL: Final = 1
RCPT: Final = 2
DATA: Final = 3  # 354 is due
FINAL: Final = 4


def always() -> bool:
    """For messages that nothing can hold back once they have begun."""
    return True


class Transaction:
    """`exposed`: bytes of the message were written, so only a final reply can tell what became of it.
    `may_go_on`: whether what is not yet written may still be."""

    __slots__ = ("done", "exposed", "first", "listed", "mail", "may_go_on", "message", "recipient", "refusal", "stage")

    def __init__(
        self,
        mail: bytes,
        recipient: bytes,
        message: bytes,
        done: Callable[[Reply], None],
        first: int,
        may_go_on: Callable[[], bool],
    ) -> None:
        self.mail = mail  # the whole command
        self.recipient = recipient
        self.message = message
        self.done = done
        self.may_go_on = may_go_on
        self.first = self.stage = first
        self.exposed = False
        self.refusal: Reply | None = None  # once MAIL or RCPT is refused; the replies still due only have to be read
        self.listed = False  # RCPT was accepted

    def fate(self, why: str, said_goodbye: bool, at_us: int) -> Reply:
        """What it came to, now that no reply will come any more.

        A refused recipient stays refused. After a 421 the server processes no further command (RFC 5321 §3.8), so a transaction
        that had no reply yet never began there. Otherwise, once exposed, nobody can know.
        """
        if self.refusal is not None:
            return self.refusal
        never_began = said_goodbye and self.stage == self.first
        kind: Kind = "dropped" if self.exposed and not never_began else "deferred"
        return Reply(kind, 0, why, at_us)
