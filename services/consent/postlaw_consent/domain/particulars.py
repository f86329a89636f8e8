"""What the law asks about an act, in the law's own words (ISO/IEC TS 27560 names most fields). Nothing here says who the person is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from postlaw_law.spelling import is_language_tag, is_territory_code, zone_named
from postlaw_law.words import CLAIMABLE, DERIVED, RELATIONSHIPS, AddressKind, RecipientKind

Grade = Literal["none", "attested", "captured"]
Objection = Literal["marketing", "profiling", "legitimate_interest"]
LawfulBasis = Literal["consent", "contract", "legal_obligation", "vital_interests", "public_task", "legitimate_interest"]  # GDPR art. 6(1)

# These run until they end; the others are of one moment.
RUNNING: frozenset[str] = frozenset({"contract", "subscription", "account", "membership"})


@dataclass(frozen=True, slots=True)
class Particulars:
    """`held`: evidence that is there; `denied`: evidence known to be false. `territories`: every one that evidence names for the person.
    `grade` "": as the route has it (captured on a page or by the API, attested by an import). `ended_us`: when a relationship ended, None
    while it runs; `until_us`: of a pause. `refers_to`: the event that this one confirms, renews, ends or declares invalid, and
    `refers_to_version` its version. Times in microseconds since the epoch."""

    relationship: str = ""
    held: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    territories: tuple[str, ...] = ()
    grade: Grade | Literal[""] = ""
    ended_us: int | None = None
    until_us: int | None = None
    recipient_kind: str = ""
    address_kind: str = ""
    time_zone: str = ""
    language: str = ""
    method: str = ""
    controller: str = ""
    purposes: tuple[str, ...] = ()
    lawful_basis: str = ""
    refers_to: str = ""
    refers_to_version: int = 0
    objection: str = ""

    def problems(self, kind: str) -> Iterator[tuple[str, str]]:
        """What is wrong with them for an act of this kind: (field, in words for whoever sent it)."""
        if kind == "implied":
            if self.relationship not in RELATIONSHIPS:
                yield "relationship", "must be one of " + ", ".join(sorted(RELATIONSHIPS))
        elif self.relationship:
            yield "relationship", "belongs to an implied consent alone"
        if self.ended_us is not None and RELATIONSHIPS.get(self.relationship, "") not in RUNNING:
            yield "ended_at", "belongs to a contract, a subscription, an account or a membership"
        if self.until_us is not None and kind != "paused":
            yield "until", "belongs to a pause alone"
        if self.objection and (kind != "objected" or self.objection not in get_args(Objection)):
            yield "objection", "belongs to an objection, and must be one of " + ", ".join(get_args(Objection))
        for field, names in (("held", self.held), ("denied", self.denied)):
            for name in names:
                if name in DERIVED:
                    yield field, f"{name} follows from what is kept: it is not claimed"
                elif name not in CLAIMABLE:
                    yield field, "must be of " + ", ".join(sorted(CLAIMABLE))
        if self.refers_to_version:
            yield "refers_to_version", "is for the ledger to say"
        if both := set(self.held) & set(self.denied):
            yield "denied", f"{min(both)} cannot be held and denied"
        yield from self._misspelt()

    def _misspelt(self) -> Iterator[tuple[str, str]]:
        if not all(map(is_territory_code, self.territories)):
            yield "territories", "must be ISO 3166-1 codes of two capital letters, such as DE"
        if self.recipient_kind and self.recipient_kind not in get_args(RecipientKind):
            yield "recipient_kind", "must be one of " + ", ".join(get_args(RecipientKind))
        if self.address_kind and self.address_kind not in get_args(AddressKind):
            yield "address_kind", "must be one of " + ", ".join(get_args(AddressKind))
        if self.lawful_basis and self.lawful_basis not in get_args(LawfulBasis):
            yield "lawful_basis", "must be one of " + ", ".join(get_args(LawfulBasis))
        if self.language and not is_language_tag(self.language):
            yield "language", "must be a language tag (BCP 47), such as de or pt-BR"
        if self.time_zone and zone_named(self.time_zone) is None:
            yield "time_zone", "must be an IANA name, such as Europe/Berlin"


NONE_STATED = Particulars()
