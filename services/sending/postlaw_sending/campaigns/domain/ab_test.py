"""An A/B test: several versions of a campaign's words, each for a share of the audience, and one of them for everybody else.

Who gets which follows from a keyed hash of campaign and person: the same for a retry and after a crash, noted nowhere, and not to be
guessed by whoever is outside.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from postlaw_sending.campaigns.domain.campaign import Template

FEWEST: Final = 2
MOST: Final = 4


class Measure(StrEnum):
    """By what a winner is chosen; BY_HAND: a person chooses."""

    BY_HAND = ""
    CLICKS = "clicks"
    OPENS = "opens"


@dataclass(frozen=True, slots=True)
class Variant:
    """`share`: percent of the audience."""

    template: Template
    share: int


@dataclass(frozen=True, slots=True)
class AbTest:
    """Variants are numbered from 1. `decide_after_us`: after the launch, by the measure. `winner` 0: not chosen yet; `decided_by`: kind
    and id of who chose, "" for the measure."""

    variants: tuple[Variant, ...]
    measure: Measure = Measure.BY_HAND
    decide_after_us: int = 0
    winner: int = 0
    decided_at_us: int = 0
    decided_by: tuple[str, str] = ("", "")


def wrong_shares(shares: Sequence[int]) -> str:
    """What is wrong with them, "" for nothing."""
    if not FEWEST <= len(shares) <= MOST:
        return f"give {FEWEST} to {MOST} variants"
    if min(shares) < 1 or sum(shares) > 100:
        return "give each a share of 1 percent at least, and 100 altogether at most"
    return ""


def variant_of(test: AbTest, key: bytes, campaign_id: str, address_key: bytes) -> int:
    """Which variant a person gets; 0: what wins. `key`: the campaign's own."""
    said = hashlib.blake2b(campaign_id.encode() + b"\0" + address_key, key=key, digest_size=8, person=b"postlaw ab-test").digest()
    drawn = int.from_bytes(said, "big") * 100 >> 64
    for number, variant in enumerate(test.variants, 1):
        drawn -= variant.share
        if drawn < 0:
            return number
    return 0


def best(test: AbTest, responses: Sequence[int]) -> int:
    """The variant with the most people who responded for its share; of equals the first, which is the words as they were."""
    rates = [count / variant.share for count, variant in zip(responses, test.variants, strict=True)]
    return 1 + rates.index(max(rates))
