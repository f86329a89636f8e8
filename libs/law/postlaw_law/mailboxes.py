"""Mailbox providers' bulk rules: what they ask of whoever sends that much. A gate of operation, never a route."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from postlaw_law.law import MAILBOXES, Law
from postlaw_law.rules import BulkMail
from postlaw_law.words import Provider, Requirement


@dataclass(frozen=True, slots=True)
class BulkRequirements:
    """Reported spam in messages of 10,000: below the first, better below the second; None where the provider names none. `refusal`: how it
    answers mail that falls short, where it says so."""

    requires: frozenset[Requirement]
    spam_per_10000_below: int | None
    spam_per_10000_aim: int | None
    refusal: str | None
    section: str


def bulk_requirements(law: Law, provider: Provider, *, today: int, most_ever: int, marketing: bool, on: date) -> BulkRequirements | None:
    """`today`, `most_ever`: messages a day to this provider's personal accounts. None where its bulk rules do not apply."""
    for rule in law.regimes[MAILBOXES].in_force(BulkMail, on):
        reached = max(today, most_ever) if rule.once_reached_for_good else today
        if provider in rule.providers and reached >= rule.messages_a_day:
            requires = frozenset(rule.requires + (rule.marketing_requires if marketing else ()))
            return BulkRequirements(requires, rule.spam_per_10000_below, rule.spam_per_10000_aim, rule.refusal, rule.section)
    return None
