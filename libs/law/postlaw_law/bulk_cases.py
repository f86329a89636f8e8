"""A case of the mailbox providers' bulk rules as JSON: what a provider asks of a sender of that volume on that day."""

from __future__ import annotations

from typing import Any

from postlaw_law.case_fields import Fields
from postlaw_law.facts import UTC
from postlaw_law.law import Law
from postlaw_law.mailboxes import bulk_requirements
from postlaw_law.words import Provider

CASE_FIELDS = frozenset({"id", "note", "source", "provider", "today", "most_ever", "marketing", "on", "expect"})


def requirements(case: Fields, law: Law) -> dict[str, Any]:
    """`applies`, and what does where it does. Raises CaseInvalid."""
    found = bulk_requirements(
        law,
        case.one_of("provider", Provider),
        today=case.number("today"),
        most_ever=case.number("most_ever"),
        marketing=case.flag("marketing"),
        on=case.day("on", UTC),
    )
    if found is None:
        return {"applies": False}
    return {
        "applies": True,
        "requires": sorted(found.requires),
        "spam_per_10000_below": found.spam_per_10000_below,
        "spam_per_10000_aim": found.spam_per_10000_aim,
        "refusal": found.refusal,
    }
