"""What the law asks about a message: its class, what is true of it, what is wrong with it, and where its sender stands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import cast, get_args
from zoneinfo import ZoneInfo

from postlaw_consent.domain.scope import Belongs
from postlaw_law.facts import UTC, Message
from postlaw_law.words import EVERYTHING as ANY
from postlaw_law.words import MESSAGE_FACTS, STRICTEST, Defect, MessageClass, MessageFact, SenderKind

DEFECTS: frozenset[str] = frozenset(get_args(Defect))


@dataclass(frozen=True, slots=True)
class Sender:
    """`territory`: where the customer is established, ZZ where nobody has verified it. `zone`: its civil time."""

    territory: str = STRICTEST
    kind: SenderKind = "business"
    zone: ZoneInfo = UTC


UNKNOWN_SENDER = Sender()


@dataclass(frozen=True, slots=True)
class Asked:
    """A message as it is asked about, in the law's words."""

    message_class: str = "commercial"
    states: frozenset[str] = frozenset()
    defects: frozenset[str] = frozenset()

    def problems(self) -> Iterator[tuple[str, str]]:
        """(field, what is wrong with it in words for whoever sent it)."""
        if self.message_class not in get_args(MessageClass):
            yield "message_class", "must be one of " + ", ".join(get_args(MessageClass))
        yield from _unknown("states", self.states, MESSAGE_FACTS)
        yield from _unknown("defects", self.defects, DEFECTS)

    def by(self, sender: Sender, belongs: Belongs) -> Message:
        """The law's message, of this sender, and of what it belongs to."""
        scope = belongs.scope
        return Message(
            sender=sender.territory,
            message_class=cast("MessageClass", self.message_class),
            sender_kind=sender.kind,
            topic=scope.key if scope.kind in ("list", "topic") else ANY,
            states=cast("frozenset[MessageFact]", self.states),
            defects=cast("frozenset[Defect]", self.defects),
            zone=sender.zone,
            brand=scope.key if scope.kind == "brand" else belongs.brand_key,
        )


def _unknown(field: str, words: Iterable[str], known: frozenset[str]) -> Iterator[tuple[str, str]]:
    for word in sorted(words):
        if word not in known:
            yield field, f"{word!r} is not one of " + ", ".join(sorted(known))
