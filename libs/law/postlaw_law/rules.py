"""The kinds of rule that a law file may hold, with their parameters. The loader reads a rule's table by the annotations here.

`id` names a rule; two with one id are versions of it, one after the other. `effective_from` and `effective_to` (the last day) default to
the regime's own beginning and to no end. `cases` names the vectors and cases that test it. `replaces`, in a file that extends another,
names the rule there whose place this one takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from postlaw_law.words import (
    AddressKind,
    Basis,
    Class,
    Defect,
    Duty,
    Evidence,
    MessageFact,
    Pause,
    Provider,
    RecipientKind,
    RequestType,
    Requirement,
    RouteEvent,
    SenderKind,
    StartsWith,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    id: str
    section: str
    cases: tuple[str, ...]
    effective_from: date
    effective_to: date | None = None
    replaces: str | None = None

    def in_force(self, day: date) -> bool:
        return self.effective_from <= day and (self.effective_to is None or day <= self.effective_to)


@dataclass(frozen=True, slots=True, kw_only=True)
class Classes(Rule):
    """How a message with both promotion and service in it counts: `primary_purpose` is the test of 16 CFR 316.3(a)(2)."""

    mixed_by_primary_purpose: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Route(Rule):
    """A way in which an event of the ledger lets commercial mail go.

    `only_with`: evidence without which the event is not of this kind at all. `events_from`: the day from which such events count.
    `sender_kinds`, `sender_territories`: whose route it is; empty for everyone's. `evidence`: all must be held. `message`: what must be
    true of the message. `while_running`: it lasts until the relationship ends; `months`: that long after the event or, where it runs, its
    end. Neither: until withdrawn."""

    events: tuple[RouteEvent, ...]
    basis: Basis
    evidence: tuple[Evidence, ...]
    only_with: Evidence | None = None
    events_from: date | None = None
    sender_kinds: tuple[SenderKind, ...] = ()
    sender_territories: tuple[str, ...] = ()
    message: MessageFact | None = None
    first_message_only: bool = False
    while_running: bool = False
    months: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRoute(Rule):
    """A route that needs no event: for these recipients (legal persons, if the rule does not say), at addresses of these kinds, the regime
    asks for no consent. With no kind of address it is no route, and says so: the consent rule covers them."""

    addresses: tuple[AddressKind, ...]
    recipients: tuple[RecipientKind, ...] = ("legal",)
    basis: Basis = "legal_person_opt_out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemption(Rule):
    """Commercial mail that needs no route: of these senders, where `message` is true. `keeps_form`: whether the duties of transactional
    mail stay."""

    sender_kinds: tuple[SenderKind, ...]
    message: MessageFact
    basis: Basis
    keeps_form: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Form(Rule):
    """Defects that bar a message of these classes."""

    defects: tuple[Defect, ...]
    classes: tuple[Class, ...]
    waived_by_consent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Duties(Rule):
    """What a message must carry, or its sender do, beyond the absence of defects."""

    duties: tuple[Duty, ...]
    classes: tuple[Class, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracking(Rule):
    """Whether tracking needs consent, what that needs, and whether list hygiene is exempt (on requested mail and service mail)."""

    needs_consent: bool
    hygiene_exempt: bool = False
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOuts(Rule):
    """The outer limit for honouring an opt-out (0: at once), whether the day it was sent counts, and how long the way to opt out must work
    after a message (0: the regime names no time)."""

    business_days: int
    first_day_counts: bool = False
    mechanism_days: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignStates(Rule):
    """The regime steps back where only its sender is here and every recipient territory is one of these."""

    states: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectRequests(Rule):
    """The clock of a data-subject request: `months` from the start, `extended_months` with a valid notice. `chained`: an extended date is
    also no later than the first date plus the months added. `starts_with`: what must have come before it runs. `pauses`: what makes it
    stand still, for requests of `pause_types` (empty: all), only when asked promptly or not, with the day of asking or without."""

    months: int
    extended_months: int
    chained: bool = False
    starts_with: tuple[StartsWith, ...] = ()
    pauses: tuple[Pause, ...] = ()
    pause_types: tuple[RequestType, ...] = ()
    pause_only_if_prompt: bool = False
    pause_counts_day_of_asking: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach(Rule):
    """Hours in which the authority is told of a breach."""

    hours: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkMail(Rule):
    """What a mailbox provider asks of whoever sends it that many messages a day; `once_reached_for_good`: also on quieter days."""

    providers: tuple[Provider, ...]
    messages_a_day: int
    once_reached_for_good: bool
    requires: tuple[Requirement, ...]
    marketing_requires: tuple[Requirement, ...] = ()
    spam_per_10000_below: int | None = None
    spam_per_10000_aim: int | None = None
    refusal: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OneClick(Rule):
    """Duties of commercial mail that every large mailbox provider sets, and the hours in which a one-click request is honoured."""

    duties: tuple[Duty, ...]
    honour_hours: int


KINDS: dict[str, type[Rule]] = {
    "classes": Classes,
    "route": Route,
    "open_route": OpenRoute,
    "exemption": Exemption,
    "form": Form,
    "duties": Duties,
    "tracking": Tracking,
    "opt_outs": OptOuts,
    "foreign_states": ForeignStates,
    "subject_requests": SubjectRequests,
    "breach": Breach,
    "bulk_mail": BulkMail,
    "one_click": OneClick,
}
