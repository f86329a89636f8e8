"""The statutes' clocks (section 13 of the model): which day something is due, by the parameters of the law in force when it began; of
the first that there was, where it began earlier.

Local days are given as such: whoever has an instant reads it in the zone that the rule names (clocks.local_day). `holidays` are those
besides Saturdays and Sundays, as public_holidays.py lists them; an empty list gives the earlier, stricter day.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from postlaw_law.clocks import DAY, add_months, nth_business_day, roll_forward
from postlaw_law.law import MAILBOXES, Law
from postlaw_law.rules import Breach, OneClick, OptOuts, SubjectRequests
from postlaw_law.words import Pause, RequestType, StartsWith


@dataclass(frozen=True, slots=True)
class Pausing:
    """The requester was asked something and answered; None: not yet, and nothing is credited before."""

    why: Pause
    asked: date
    answered: date | None
    promptly: bool = False


@dataclass(frozen=True, slots=True)
class SubjectRequest:
    """`received` and the rest are local days at the controller. `prerequisites`: when the identity information or the fee came."""

    received: date
    type: RequestType | None = None
    prerequisites: tuple[tuple[StartsWith, date], ...] = ()
    pausing: tuple[Pausing, ...] = ()
    extension_notice: date | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """`extension_valid`: None where no notice was given."""

    day: date
    extension_valid: bool | None = None


def opt_out_honoured_by(law: Law, regime: str, received: date, holidays: Collection[date] = ()) -> date:
    """The last day for honouring an opt-out: mail after it is unlawful. The strictest of several regimes is the earliest of their days."""
    rule = law.regimes[regime].the(OptOuts, received)
    return nth_business_day(received, rule.business_days, holidays, start_counts=rule.first_day_counts)


def earliest_withdrawal_end(law: Law, regime: str, days: Iterable[date], holidays: Collection[date] = ()) -> date:
    """[C] Where the request has one local day at its sender and another at its receiver: the earlier end."""
    return min(opt_out_honoured_by(law, regime, day, holidays) for day in days)


def mechanism_valid_through(law: Law, regime: str, sent: date) -> date:
    """The last day on which a message's way to opt out must work."""
    return sent + law.regimes[regime].the(OptOuts, sent).mechanism_days * DAY


def implied_consent_last_day(anchors: Iterable[date], months: int) -> date:
    """The last day that implied consent covers: the anniversary of the latest anchor, still inside."""
    return add_months(max(anchors), months)


def subject_request_due(law: Law, regime: str, request: SubjectRequest, holidays: Collection[date] = ()) -> Due:
    """When a data-subject request must be answered. `regime`: EU or UK. A late extension notice is void."""
    rule = law.regimes[regime].the(SubjectRequests, request.received)
    start = max([request.received, *(day for what, day in request.prerequisites if what in rule.starts_with)])

    def due(unrolled: date) -> date:
        paused = _paused_days(rule, request, start, roll_forward(unrolled, holidays))
        return roll_forward(unrolled + paused * DAY, holidays)

    first_unrolled = add_months(start, rule.months)
    first = due(first_unrolled)
    if request.extension_notice is None:
        return Due(first)
    if request.extension_notice > first:
        return Due(first, extension_valid=False)
    extended = add_months(start, rule.extended_months)
    if rule.chained:
        extended = min(extended, add_months(first_unrolled, rule.extended_months - rule.months))
    return Due(due(extended), extension_valid=True)


def _paused_days(rule: SubjectRequests, request: SubjectRequest, start: date, last: date) -> int:
    """Days that do not count, each once. The day of receipt never counted, so it is not credited; nor is a pause that came too late."""
    if rule.pause_types and request.type not in rule.pause_types:
        return 0
    still: set[date] = set()
    for pausing in request.pausing:
        if pausing.why not in rule.pauses or pausing.answered is None or pausing.asked > last:
            continue
        if rule.pause_only_if_prompt and not pausing.promptly:
            continue
        first = pausing.asked if rule.pause_counts_day_of_asking else pausing.asked + DAY
        still.update(first + n * DAY for n in range((pausing.answered - first).days + 1))
    return sum(day > start for day in still)


def breach_due(law: Law, regime: str, aware: datetime) -> datetime:
    """When the authority must know. Elapsed hours, whatever the
    clocks do meanwhile. `aware`: the instant of reasonable certainty, or when the processor told the controller."""
    return aware.astimezone(UTC) + timedelta(hours=law.regimes[regime].the(Breach, aware.date()).hours)


def one_click_honoured_by(law: Law, asked: datetime) -> datetime:
    """Until when mailbox providers want a one-click request honoured."""
    return asked.astimezone(UTC) + timedelta(hours=law.regimes[MAILBOXES].the(OneClick, asked.date()).honour_hours)
