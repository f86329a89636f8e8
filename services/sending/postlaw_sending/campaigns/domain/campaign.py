"""A campaign and its life, as a table of moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from postlaw_sending.campaigns.domain.ab_test import AbTest
from postlaw_sending.campaigns.domain.images import Image
from postlaw_sending.campaigns.domain.ruling import COMMERCIAL_MAIL, MessageFacts
from postlaw_sending.campaigns.domain.schedule import Schedule
from postlaw_sending.tracking.domain import NO_TRACKING, Tracking


class Status(StrEnum):
    DRAFT = "draft"
    SCHEDULED = "scheduled"
    SENDING = "sending"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    FINISHED = "finished"


class Move(StrEnum):
    SCHEDULE = "schedule"
    UNSCHEDULE = "unschedule"
    LAUNCH = "launch"
    BEGIN = "begin"  # a scheduled one, at its time
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    FINISH = "finish"
    REOPEN = "reopen"  # recipients of whom nothing was known are mailed again


# A move that leads to where the campaign already is changes nothing: a repeated request gets the answer of the first.
MOVES: Mapping[Move, Mapping[Status, Status]] = {
    Move.SCHEDULE: {Status.DRAFT: Status.SCHEDULED, Status.SCHEDULED: Status.SCHEDULED},
    Move.UNSCHEDULE: {Status.SCHEDULED: Status.DRAFT, Status.DRAFT: Status.DRAFT},
    Move.LAUNCH: {Status.DRAFT: Status.SENDING, Status.SENDING: Status.SENDING},
    Move.BEGIN: {Status.SCHEDULED: Status.SENDING},
    Move.PAUSE: {Status.SENDING: Status.PAUSED, Status.PAUSED: Status.PAUSED},
    Move.RESUME: {Status.PAUSED: Status.SENDING, Status.SENDING: Status.SENDING},
    Move.CANCEL: {
        Status.DRAFT: Status.CANCELLED,
        Status.SCHEDULED: Status.CANCELLED,
        Status.SENDING: Status.CANCELLED,
        Status.PAUSED: Status.CANCELLED,
        Status.CANCELLED: Status.CANCELLED,
    },
    Move.REOPEN: {Status.FINISHED: Status.SENDING, Status.SENDING: Status.SENDING},
    Move.FINISH: {Status.SENDING: Status.FINISHED, Status.FINISHED: Status.FINISHED},
}

_ADVICE: Mapping[Status, str] = {
    Status.DRAFT: "It has not been launched; launch it first.",
    Status.SCHEDULED: "It begins by itself at its time; unschedule or cancel it.",
    Status.SENDING: "It is being sent; pause or cancel it.",
    Status.PAUSED: "It is paused; resume or cancel it.",
    Status.CANCELLED: "It was cancelled, for good; create a new campaign.",
    Status.FINISHED: "It has finished; create a new campaign.",
}


class WrongMove(Exception):
    """The campaign's status does not allow this move; the message says what does."""


@dataclass(frozen=True, slots=True)
class Sender:
    """`reply_to`: "" where answers go to the address."""

    name: str
    address: str
    postal_address: str
    reply_to: str = ""


@dataclass(frozen=True, slots=True)
class Template:
    """minijinja; `html` may be empty, and before it is kept so may `text`: it is then made of the HTML. `images`: what `html` shows
    by `cid:` (domain/images.py)."""

    subject: str
    html: str
    text: str
    images: tuple[Image, ...] = ()


@dataclass(frozen=True, slots=True)
class Campaign:
    """`brand`: of the list, "" for none. `template_id` and `template_version`: whose words, class and states it has, "" and 0 for its
    own. Times in microseconds since the epoch, 0: not yet. `launched_by`: kind and id of who launched it;
    `contact`: the customer's, as it was then. `paused_because`: why, where nobody asked for the pause, or for its
    being a draft again. `schedule`: when it begins by itself, or did. `messages_per_hour` 0: as fast as it goes. `ab_test`: its variants
    stand in for `template`, which is the first one's. `mail_unknown_again`: unknown recipients may be mailed
    once more, at an operator's word. `forward_answers_to`: the team address to which answers are passed on, "" where they go to the
    sender. `leave_out_silent_days`: who gave no sign for longer gets none of it, 0 where everybody does. `version` 0: not stored yet."""

    campaign_id: str
    tenant_id: str
    name: str
    list_id: str
    list_name: str
    sender: Sender
    template: Template
    message: MessageFacts = COMMERCIAL_MAIL
    status: Status = Status.DRAFT
    created_at_us: int = 0
    launched_at_us: int = 0
    ended_at_us: int = 0
    launched_by: tuple[str, str] = ("", "")
    contact: str = ""
    version: int = 0
    brand: str = ""
    template_id: str = ""
    template_version: int = 0
    paused_because: str = ""
    schedule: Schedule | None = None
    messages_per_hour: int = 0
    ab_test: AbTest | None = None
    mail_unknown_again: bool = False
    tracking: Tracking = NO_TRACKING
    forward_answers_to: str = ""
    leave_out_silent_days: int = 0

    @property
    def in_variants(self) -> Sequence[Campaign]:
        """As whoever makes messages of it takes it: itself, or with the words of each variant of its A/B test. The images are for all."""
        if self.ab_test is None:
            return [self]
        images = self.template.images
        return [replace(self, template=replace(variant.template, images=images)) for variant in self.ab_test.variants]

    @property
    def not_begun(self) -> bool:
        return self.status in (Status.DRAFT, Status.SCHEDULED)

    @property
    def keeps_back(self) -> bool:
        """Whether people of its audience may have to wait for their time."""
        return bool(self.messages_per_hour or self.ab_test or (self.schedule is not None and self.schedule.local_time))

    @property
    def ended(self) -> bool:
        return self.status in (Status.CANCELLED, Status.FINISHED)


def moved(campaign: Campaign, move: Move, now_us: int) -> Campaign:
    """The campaign after this move; the same object where it is there already. Raises WrongMove."""
    target = MOVES[move].get(campaign.status)
    if target is None:
        raise WrongMove(f"A campaign that is {campaign.status} cannot {move}. {_ADVICE[campaign.status]}")
    if target is campaign.status:
        return campaign
    return replace(
        campaign,
        status=target,
        paused_because="",
        schedule=None if move is Move.UNSCHEDULE else campaign.schedule,
        launched_at_us=now_us if move in (Move.LAUNCH, Move.BEGIN) else campaign.launched_at_us,
        ended_at_us=now_us if target in (Status.CANCELLED, Status.FINISHED) else 0,
    )
