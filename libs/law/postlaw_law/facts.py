"""What a decision is made from: a message, which is the same for a whole campaign, and a person as their ledger folds.

Instants are microseconds since the epoch, as in the ledger. No personal data: territories, kinds, times and which evidence is held.
Facts only grow: a fold adds a record for each event and may drop one only where nothing later can rest on it. Records need no order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from postlaw_law.words import EVERYTHING, AddressKind, Defect, Evidence, MessageClass, MessageFact, RecipientKind, RouteEvent, SenderKind

UTC = ZoneInfo("UTC")
ANY_TOPIC: frozenset[str] = frozenset({EVERYTHING})

HoldKind = Literal["restricted", "paused", "bounced", "platform"]
Tracking = Literal["none", "open_individual", "open_hygiene"]


@dataclass(frozen=True, slots=True)
class Message:
    """`sender`: territory (ISO 3166-1 alpha-2) where the sender is established. `states`: what is true of it, of MESSAGE_FACTS.
    `defects`: what is wrong with its form; none where the form is complete. `zone`: the sender's civil time. `brand`: the wider topic,
    of consents and opt-outs too, under which `topic` falls; "" for none."""

    sender: str
    message_class: MessageClass
    sender_kind: SenderKind = "business"
    topic: str = "general"
    states: frozenset[MessageFact] = frozenset()
    defects: frozenset[Defect] = frozenset()
    zone: ZoneInfo = UTC
    brand: str = ""


class Grant(NamedTuple):
    """An event that may carry a route: a consent, a purchase, a membership …

    `held`: evidence that is there. `denied`: evidence that is explicitly false (a pre-ticked box). `ended_us`: when a contract,
    subscription, account or membership ended; None while it runs. `id`: the ledger's event. `lifts`: whether an express consent may lift
    an opt-out: not where somebody else says that it was given."""

    type: RouteEvent
    at_us: int
    held: frozenset[Evidence] = frozenset()
    denied: frozenset[Evidence] = frozenset()
    topics: frozenset[str] = ANY_TOPIC
    ended_us: int | None = None
    id: str = ""
    lifts: bool = True


@dataclass(frozen=True, slots=True)
class OptOut:
    """An unsubscribe or withdrawal of some topics, or of everything; an objection is always of everything. `erased`: what closed it was
    an erasure of the person; it is lifted as the others are."""

    at_us: int
    topics: frozenset[str] = ANY_TOPIC
    id: str = ""
    erased: bool = False


@dataclass(frozen=True, slots=True)
class Hold:
    """A restriction (GDPR art. 18), the person's own pause, an address that has refused mail for good, or one that whoever runs the
    installation has stopped for every customer; from `at_us` until `until_us`, None: until it is lifted."""

    kind: HoldKind
    at_us: int
    until_us: int | None = None
    id: str = ""


@dataclass(frozen=True, slots=True)
class TrackingSignal:
    """A yes (`given`, with its evidence) or a no to tracking."""

    given: bool
    at_us: int
    held: frozenset[Evidence] = frozenset()
    id: str = ""


class Person(NamedTuple):
    """`territories`: every one that may apply; none, or ZZ, where it is unknown. `zone`: theirs, where known: local days then end at the
    earlier of the two zones' midnights. `messages_us`: when messages went out, for routes that carry one message only."""

    territories: tuple[str, ...] = ()
    recipient_kind: RecipientKind = "natural"
    address_kind: AddressKind = "personal"
    grants: tuple[Grant, ...] = ()
    opt_outs: tuple[OptOut, ...] = ()
    holds: tuple[Hold, ...] = ()
    tracking: tuple[TrackingSignal, ...] = ()
    messages_us: tuple[int, ...] = ()
    zone: ZoneInfo | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    message: Message
    person: Person
