"""What the law asks about a campaign's messages, and what its answer comes to for a recipient."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from postlaw_law.words import EXPRESS, MESSAGE_CLASSES, STATED_FACTS, Basis, Defect, Duty

COMMERCIAL = "commercial"
TRANSACTIONAL = "transactional"
NOT_ALLOWED = "not_allowed"  # a no without a reason

# Bases that are a relationship between the person and the sender. On the others somebody is mailed who never dealt with it.
_RELATIONSHIPS: frozenset[Basis] = frozenset({
    "soft_opt_in", "charity_soft_opt_in", "implied_ebr_purchase", "implied_ebr_contract", "implied_ebr_subscription",
    "implied_ebr_inquiry", "implied_enbr", "inferred_relationship", "transactional",
})  # fmt: skip
_LABELLED: frozenset[Duty] = frozenset({"ad_label", "recognisable_as_advertising"})
_NO_CONTACT: tuple[Defect, ...] = ("no_contact_method",)


@dataclass(frozen=True, slots=True)
class MessageFacts:
    """Of all messages of a campaign alike: their class (the law's MESSAGE_CLASSES), and what is true of them (its STATED_FACTS)."""

    message_class: str = COMMERCIAL
    states: tuple[str, ...] = ()

    @property
    def is_marketing(self) -> bool:
        """Whether it advertises, in whole or in part, or asks whether it may."""
        return self.message_class != TRANSACTIONAL

    def wrong(self) -> Mapping[str, str]:
        """What is wrong, by field."""
        found: dict[str, str] = {}
        if self.message_class not in MESSAGE_CLASSES:
            found["message_class"] = f"there is no class {self.message_class!r}; there are {_listed(MESSAGE_CLASSES)}"
        if unknown := set(self.states) - STATED_FACTS:
            found["states"] = f"the law knows no {_listed(unknown)}; it knows {_listed(STATED_FACTS)}"
        return found


COMMERCIAL_MAIL = MessageFacts()


def defects(contact: str) -> tuple[Defect, ...]:
    """What is wrong with the form of our messages. Name, postal address and unsubscribe link stand in every footer, and a label where
    the law asks for one; the contact may be missing."""
    return () if contact else _NO_CONTACT


@dataclass(frozen=True, slots=True)
class Ruling:
    """`refusals`: codes of why not; none where the message may go. `why`: for what reason the person gets it, "subscribed",
    "relationship" or "listed". `labelled`: it must say that it is an advertisement. `tracking`: what the person allows of what the campaign
    asks to know (tracking/domain.py)."""

    refusals: tuple[str, ...]
    why: str = "listed"
    labelled: bool = True
    tracking: int = 0


def ruling(allow: bool, codes: Iterable[str], bases: Collection[str], duties: Collection[str], tracking: int = 0) -> Ruling:
    """Of one verdict. Where regimes rest on different bases, each is true of the person: the one that says most is named."""
    if not allow:
        return Ruling(tuple(codes) or (NOT_ALLOWED,))
    why = "subscribed" if EXPRESS in bases else "relationship" if not _RELATIONSHIPS.isdisjoint(bases) else "listed"
    return Ruling((), why, not _LABELLED.isdisjoint(duties), tracking)


def _listed(words: Iterable[str]) -> str:
    return ", ".join(sorted(words))
