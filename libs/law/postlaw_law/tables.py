"""One regime, or a set of them, made ready for one message at one instant: what is the same for all of its recipients is looked up once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from postlaw_law.decision import Obligations, Reason
from postlaw_law.facts import HoldKind, Message
from postlaw_law.law import MAILBOXES, Law, Regime
from postlaw_law.rules import Classes, Duties, Exemption, Form, OneClick, OpenRoute, OptOuts, Route, Tracking
from postlaw_law.words import (
    CODE_OF_EVIDENCE,
    CODE_OF_MESSAGE_FACT,
    DUTY_OF,
    EXPRESS,
    AddressKind,
    Basis,
    Class,
    Duty,
    Evidence,
    RecipientKind,
)

# Explicitly false, these make a consent invalid or state a refusal; merely absent, they are missing evidence (section 1.3).
_INVALIDATING: frozenset[Evidence] = frozenset({"affirmative_act", "separate"})
_REFUSING: frozenset[Evidence] = frozenset({"no_refusal_statement"})


@dataclass(frozen=True, slots=True)
class RouteTable:
    """A route with the reasons that it may give, each one object. `rank`: its place among the regime's routes. `closed` and `ineligible`:
    the reason that holds for every event, or None. `unmet`: what the message lacks, or None."""

    basis: Basis
    rank: int
    only_with: Evidence | None
    closed: Reason | None
    events_from: date | None
    not_in_force: Reason
    ineligible: Reason | None
    not_covered: Reason
    invalidating: frozenset[Evidence]
    invalid: Reason
    refusing: frozenset[Evidence]
    refused: Reason
    evidence: frozenset[Evidence]
    missing: Reason
    conditions: tuple[tuple[Evidence, Reason], ...]
    unmet: Reason | None
    first_message_only: bool
    used: Reason
    while_running: bool
    months: int | None
    expired: Reason


@dataclass(frozen=True, slots=True)
class RegimeTable:
    """`exempt`: the basis without any route, where the message has one. `open_to`: bases of routes that need no event, by kind of recipient
    and address. `defects`: reasons of form; those with True are waived by express consent."""

    name: str
    commercial: bool
    exempt: Basis | None
    routes: dict[str, RouteTable]
    no_route: Reason
    consent_evidence: frozenset[Evidence]
    open_to: dict[tuple[RecipientKind, AddressKind], Basis]
    defects: tuple[tuple[Reason, bool], ...]
    duties: frozenset[Duty]
    duties_with_consent: frozenset[Duty]
    tracking: Tracking
    opt_outs: OptOuts


def regime_table(regime: Regime, message: Message, day: date) -> RegimeTable:
    commercial = _is_commercial(regime, message, day)
    exemption = next((rule for rule in regime.in_force(Exemption, day) if commercial and _exempts(rule, message)), None)
    asked: Class | None = "commercial" if commercial else "transactional"
    if exemption is not None:
        asked = "transactional" if exemption.keeps_form else None
    forms = [rule for rule in regime.in_force(Form, day) if asked in rule.classes]
    duties: set[Duty] = {duty for rule in regime.in_force(Duties, day) if asked in rule.classes for duty in rule.duties}
    waived: set[Duty] = {DUTY_OF[defect] for rule in forms if rule.waived_by_consent for defect in rule.defects}
    duties |= {DUTY_OF[defect] for rule in forms for defect in rule.defects}
    routes = _routes(regime, day)
    express = _express_consent(regime, routes)
    return RegimeTable(
        name=regime.name,
        commercial=commercial,
        exempt=exemption.basis if exemption else None,
        routes={
            event: table
            for rank, rule in enumerate(routes, 1)
            for table in (_route_table(regime.name, rule, rank, message, day),)
            for event in rule.events
        },
        no_route=Reason(f"{regime.name}:NO_ROUTE", express.section),
        consent_evidence=frozenset(express.evidence),
        open_to={
            (kind, address): rule.basis
            for rule in regime.in_force(OpenRoute, day)
            for kind in rule.recipients
            for address in rule.addresses
        },
        defects=tuple(
            (Reason(f"{regime.name}:FORM_{defect.upper()}", rule.section), rule.waived_by_consent)
            for rule in forms
            for defect in rule.defects
            if defect in message.defects
        ),
        duties=frozenset(duties),
        duties_with_consent=frozenset(duties - waived),
        tracking=regime.the(Tracking, day),
        opt_outs=regime.the(OptOuts, day),
    )


def _is_commercial(regime: Regime, message: Message, day: date) -> bool:
    if message.message_class == "mixed" and regime.the(Classes, day).mixed_by_primary_purpose:
        return "subject_commercial" in message.states or "transactional_first" not in message.states
    return message.message_class != "transactional"


def _exempts(rule: Exemption, message: Message) -> bool:
    return message.sender_kind in rule.sender_kinds and rule.message in message.states


def _routes(regime: Regime, day: date) -> list[Route]:
    """Each route in the version of that day; where none is in force, in its last: its events are known, and it is closed."""
    versions: dict[str, Route] = {}
    for rule in regime.rules:
        if isinstance(rule, Route) and (rule.id not in versions or not versions[rule.id].in_force(day)):
            versions[rule.id] = rule
    return list(versions.values())


def _express_consent(regime: Regime, routes: list[Route]) -> Route:
    """LookupError where there is none; the loader lets no such law pass."""
    for rule in routes:
        if EXPRESS in rule.events:
            return rule
    raise LookupError(f"{regime.name} has no route by {EXPRESS}")


def _route_table(name: str, rule: Route, rank: int, message: Message, day: date) -> RouteTable:
    def reason(code: str) -> Reason:
        return Reason(f"{name}:{code}", rule.section)

    eligible = (not rule.sender_kinds or message.sender_kind in rule.sender_kinds) and (
        not rule.sender_territories or message.sender in rule.sender_territories
    )
    met = rule.message is None or rule.message in message.states
    return RouteTable(
        basis=rule.basis,
        rank=rank,
        only_with=rule.only_with,
        closed=None if rule.in_force(day) else reason("ROUTE_NOT_IN_FORCE"),
        events_from=rule.events_from,
        not_in_force=reason("ROUTE_NOT_IN_FORCE"),
        ineligible=None if eligible else reason("NOT_ELIGIBLE_SENDER"),
        not_covered=reason("TOPIC_NOT_COVERED"),
        invalidating=_INVALIDATING & frozenset(rule.evidence),
        invalid=reason("CONSENT_INVALID"),
        refusing=_REFUSING & frozenset(rule.evidence),
        refused=reason("REFUSAL_STATED"),
        evidence=frozenset(one for one in rule.evidence if one not in CODE_OF_EVIDENCE),
        missing=reason("EVIDENCE_MISSING"),
        conditions=tuple((one, reason(code)) for one, code in CODE_OF_EVIDENCE.items() if one in rule.evidence),
        unmet=None if met or rule.message is None else reason(CODE_OF_MESSAGE_FACT[rule.message]),
        first_message_only=rule.first_message_only,
        used=reason("REFERRAL_USED"),
        while_running=rule.while_running,
        months=rule.months,
        expired=reason("ROUTE_EXPIRED"),
    )


HELD: dict[HoldKind, Reason] = {
    "restricted": Reason("RESTRICTED", "GDPR art. 18; UK GDPR art. 18"),
    "paused": Reason("PAUSED", "the person's own pause"),
    "platform": Reason("SUPPRESSED_PLATFORM", "stopped for every customer by whoever runs the installation"),
    "bounced": Reason("BOUNCED", "RFC 5321 section 4.2.1: the address was refused for good"),
}


class RegimeSet:
    """The regimes that some people's territories bring, for one message: every one must be satisfied, every duty applies."""

    __slots__ = (
        "_obligations", "_one_click", "any_commercial", "asking", "bases_of_message", "defective", "erased", "held_by", "hygiene",
        "lifting_evidence", "suppressed_all", "suppressed_brand", "suppressed_topic", "tables", "tracking_evidence",
        "tracking_needs_consent", "waiving",
    )  # fmt: skip

    def __init__(self, law: Law, regimes: Iterable[Regime], message: Message, day: date) -> None:
        self.tables = tuple([regime_table(regime, message, day) for regime in regimes])
        self.any_commercial = any(table.commercial for table in self.tables)
        # What needs no look at the person: bases of service mail and of exempt mail. The others ask for a route.
        self.bases_of_message: dict[str, Basis] = {
            table.name: table.exempt or "transactional" for table in self.tables if table.exempt or not table.commercial
        }
        self.asking = tuple(table for table in self.tables if table.name not in self.bases_of_message)
        self.defective = tuple(table for table in self.tables if table.defects)
        self.waiving = tuple(table for table in self.tables if table.duties != table.duties_with_consent)
        # An opt-out is lifted by a consent that meets each regime, those that call the message transactional too (section 8).
        self.lifting_evidence = frozenset(one for table in self.tables for one in table.consent_evidence)
        sections = "; ".join(dict.fromkeys(table.opt_outs.section for table in self.tables))
        self.suppressed_all = Reason("SUPPRESSED_ALL", sections)
        self.suppressed_brand = Reason("SUPPRESSED_BRAND", sections)
        self.suppressed_topic = Reason("SUPPRESSED_TOPIC", sections)
        # What is stopped for every customer is all mail. An address that takes no mail takes no service mail either, but may be asked
        # whether it does.
        held_by: set[HoldKind] = {"platform"} if "confirms_address" in message.states else {"platform", "bounced"}
        if self.any_commercial:
            held_by |= {"restricted", "paused"}
        self.held_by = frozenset(held_by)
        self.erased = Reason("ERASED", "GDPR art. 17; UK GDPR art. 17")
        self.tracking_needs_consent = any(table.tracking.needs_consent for table in self.tables)
        # Whether list hygiene may go without consent in each of them, if the mail itself rests on what each of them asks.
        self.hygiene = all(not table.tracking.needs_consent or table.tracking.hygiene_exempt for table in self.tables)
        self.tracking_evidence = frozenset(one for table in self.tables for one in table.tracking.evidence)
        mailboxes = law.regimes.get(MAILBOXES) if self.any_commercial else None
        one_click = mailboxes.in_force(OneClick, day) if mailboxes else ()
        self._one_click: frozenset[Duty] = frozenset(duty for rule in one_click for duty in rule.duties)
        self._obligations: dict[frozenset[str], Obligations] = {}

    def obligations(self, waived: frozenset[str]) -> Obligations:
        """`waived`: the regimes that waive duties for the person's express consent."""
        known = self._obligations.get(waived)
        if known is None:
            duties = self._one_click.union(*(table.duties_with_consent if table.name in waived else table.duties for table in self.tables))
            known = self._obligations[waived] = Obligations(
                duties=duties,
                mechanism_days=max(table.opt_outs.mechanism_days for table in self.tables),
                opt_out_business_days=min(table.opt_outs.business_days for table in self.tables),
            )
        return known
