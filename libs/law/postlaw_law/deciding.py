"""May this message go to this person? The evaluation of the README, stage by stage: suppression, routes, form.

`decide` answers for one person. For a campaign, `Campaign` makes the message ready once and `Campaign.decide` answers for each person.
Pure and total: the same facts, law and instant give the same decision, and no valid facts raise.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime
from zoneinfo import ZoneInfo

from postlaw_law.clocks import add_months, day_ends_us, local_day, microseconds
from postlaw_law.decision import Decision, Reason, TrackingAllowed
from postlaw_law.facts import Facts, Grant, Hold, Message, OptOut, Person
from postlaw_law.law import Law
from postlaw_law.tables import HELD, RegimeSet, RegimeTable, RouteTable
from postlaw_law.words import EVERYTHING, EXPRESS, Basis

_NEVER_ENDS = 1 << 62  # microseconds; beyond every date that there is
_LAST_RANK = 1 << 30
_NONE: frozenset[str] = frozenset()

_TRACKING = {
    (opens, hygiene): TrackingAllowed(open=opens, open_hygiene=hygiene, click=opens) for opens in (False, True) for hygiene in (False, True)
}

# (end in microseconds, -rank, basis, event id): the largest lasts longest, then stands first among the routes.
_Carrier = tuple[int, int, Basis, str]


def decide(facts: Facts, law: Law, now: datetime) -> Decision:
    """ValueError where `now` has no time zone."""
    return Campaign(facts.message, law, now).decide(facts.person)


class Campaign:
    """One message at one instant. Regime sets are made once for each combination of territories that its people bring."""

    __slots__ = ("_covering", "_day", "_law", "_message", "_now_us", "_sets", "_zone")

    def __init__(self, message: Message, law: Law, now: datetime) -> None:
        self._message = message
        self._law = law
        self._covering = frozenset({message.topic, message.brand or EVERYTHING, EVERYTHING})
        self._zone = message.zone
        self._now_us = microseconds(now)
        self._day = local_day(self._now_us, message.zone)
        self._sets: dict[tuple[str, ...], RegimeSet] = {}

    def at(self, now: datetime) -> Campaign:
        """The same message at another instant; what was made ready serves for the whole day. ValueError where `now` has no time zone."""
        other = Campaign(self._message, self._law, now)
        if other._day == self._day:
            other._sets = self._sets
        return other

    def decide(self, person: Person) -> Decision:
        regimes = self._sets.get(person.territories) or self._set_of(person.territories)
        if person.opt_outs or person.holds:
            standing, evidence = self._suppression(regimes, person)
            if standing:
                return self._decision(regimes, person, {}, standing, evidence)
        reasons: list[Reason] = []
        evidence: list[str] = []
        bases = dict(regimes.bases_of_message)
        ends = _NEVER_ENDS
        for table in regimes.asking:
            carrier = self._carrier(table, person, reasons)
            if carrier is not None:
                end, _, basis, id = carrier
                bases[table.name] = basis
                if end < ends:
                    ends = end
                if id:
                    evidence.append(id)
        if regimes.defective and not reasons:
            reasons = [
                reason
                for table in regimes.defective
                for reason, waived_by_consent in table.defects
                if not (waived_by_consent and bases[table.name] == EXPRESS)
            ]
        return self._decision(regimes, person, bases, reasons, () if reasons else evidence, ends)

    def ends_at_us(self, person: Person, grant: Grant) -> int | None:
        """The first instant at which one of the regimes no longer takes this event for a route, whatever else it may lack; None where
        nothing ends by itself. Microseconds since the epoch."""
        regimes = self._sets.get(person.territories) or self._set_of(person.territories)
        routes = (table.routes.get(grant.type) for table in regimes.asking)
        ends = min((self._end(route, grant, person.zone) for route in routes if route is not None), default=_NEVER_ENDS)
        return ends if ends < _NEVER_ENDS else None

    def _set_of(self, territories: tuple[str, ...]) -> RegimeSet:
        applicable = self._law.applicable(self._message.sender, territories, self._day)
        regimes = self._sets[territories] = RegimeSet(self._law, applicable, self._message, self._day)
        return regimes

    def _decision(
        self,
        regimes: RegimeSet,
        person: Person,
        bases: dict[str, Basis],
        reasons: Collection[Reason],
        evidence: Collection[str],
        ends: int = _NEVER_ENDS,
    ) -> Decision:
        waived = _NONE
        if regimes.waiving:
            waived = frozenset([table.name for table in regimes.waiving if bases.get(table.name) == EXPRESS])
        return Decision(
            not reasons,
            None if reasons else bases,
            tuple(sorted(set(reasons))) if reasons else (),
            None if reasons or ends == _NEVER_ENDS else datetime.fromtimestamp(ends // 1_000_000, self._zone),
            regimes.obligations(waived),
            self._tracking(regimes, person, bases),
            tuple(sorted(set(evidence))) if evidence else (),
            self._law.version,
        )

    def _suppression(self, regimes: RegimeSet, person: Person) -> tuple[list[Reason], list[str]]:
        """Opt-outs and holds that stand against this message. The latest consent that meets every regime lifts the opt-outs strictly before
        it."""
        holds = [hold for hold in person.holds if hold.kind in regimes.held_by and self._holds(hold)]
        reasons = [HELD[hold.kind] for hold in holds]
        opt_outs: list[OptOut] = []
        if regimes.any_commercial:
            reason, opt_outs = self._opted_out(regimes, person)
            if reason is not None:
                reasons.append(reason)
        return reasons, [one.id for one in (*opt_outs, *holds) if one.id]

    def _holds(self, hold: Hold) -> bool:
        return hold.at_us <= self._now_us and (hold.until_us is None or self._now_us < hold.until_us)

    def _opted_out(self, regimes: RegimeSet, person: Person) -> tuple[Reason | None, list[OptOut]]:
        """The widest of those that stand, and what they come to."""
        now, topic, brand = self._now_us, self._message.topic, self._message.brand
        lifted_before = max(
            (
                grant.at_us
                for grant in person.grants
                if grant.type == EXPRESS
                and grant.lifts
                and grant.at_us <= now
                and not self._covering.isdisjoint(grant.topics)
                and regimes.lifting_evidence <= grant.held
            ),
            default=-_NEVER_ENDS,
        )
        standing = [opt_out for opt_out in person.opt_outs if lifted_before <= opt_out.at_us <= now]
        of_all = [opt_out for opt_out in standing if EVERYTHING in opt_out.topics or not opt_out.topics]
        if of_all:
            return regimes.erased if all(opt_out.erased for opt_out in of_all) else regimes.suppressed_all, of_all
        if of_brand := [opt_out for opt_out in standing if brand and brand in opt_out.topics]:
            return regimes.suppressed_brand, of_brand
        of_topic = [opt_out for opt_out in standing if topic in opt_out.topics]
        return regimes.suppressed_topic if of_topic else None, of_topic

    def _carrier(self, table: RegimeTable, person: Person, reasons: list[Reason]) -> _Carrier | None:
        """What the regime's basis is, of all that is valid. None, and the reasons, where nothing is."""
        best: _Carrier | None = None
        if table.open_to and (basis := table.open_to.get((person.recipient_kind, person.address_kind))) is not None:
            best = (_NEVER_ENDS, -_LAST_RANK, basis, "")
        failures: list[Reason] = []
        now = self._now_us
        for grant in person.grants:
            route = table.routes.get(grant.type)
            if route is None or grant.at_us > now or (route.only_with is not None and route.only_with not in grant.held):
                continue
            found = self._failure_or_end(route, grant, person)
            if isinstance(found, Reason):
                failures.append(found)
            else:
                carrier = (found, -route.rank, route.basis, grant.id)
                if best is None or carrier > best:
                    best = carrier
        if best is None:
            reasons.extend(failures or (table.no_route,))
        return best

    def _failure_or_end(self, route: RouteTable, grant: Grant, person: Person) -> Reason | int:
        """The first check that fails, in the order of the law's model; or the instant at which the route ends."""
        if route.closed is not None:
            return route.closed
        if route.events_from is not None and self._first_day(grant.at_us, person.zone) < route.events_from:
            return route.not_in_force
        if route.ineligible is not None:
            return route.ineligible
        if self._covering.isdisjoint(grant.topics):
            return route.not_covered
        if grant.denied:
            if not route.invalidating.isdisjoint(grant.denied):
                return route.invalid
            if not route.refusing.isdisjoint(grant.denied):
                return route.refused
        if not route.evidence <= grant.held:
            return route.missing
        for needed, reason in route.conditions:
            if needed not in grant.held:
                return reason
        if route.unmet is not None:
            return route.unmet
        if route.first_message_only and any(grant.at_us <= sent <= self._now_us for sent in person.messages_us):
            return route.used
        ends = self._end(route, grant, person.zone)
        return ends if self._now_us < ends else route.expired

    def _end(self, route: RouteTable, grant: Grant, zone: ZoneInfo | None) -> int:
        anchor = grant.at_us
        if route.while_running:
            if grant.ended_us is None or grant.ended_us > self._now_us:
                return _NEVER_ENDS
            anchor = grant.ended_us
        if route.months is None:
            return anchor if route.while_running else _NEVER_ENDS
        ends = _end_of_months(anchor, route.months, self._zone)
        return ends if zone is None else min(ends, _end_of_months(anchor, route.months, zone))

    def _first_day(self, at_us: int, zone: ZoneInfo | None) -> date:
        """The local day of an instant; the earlier one, where the person's zone has another."""
        day = local_day(at_us, self._zone)
        return day if zone is None else min(day, local_day(at_us, zone))

    def _tracking(self, regimes: RegimeSet, person: Person, bases: dict[str, Basis]) -> TrackingAllowed:
        """The latest signal wins; a no wins over a yes of the same instant, and binds where no consent is needed too."""
        signals = [signal for signal in person.tracking if signal.at_us <= self._now_us] if person.tracking else ()
        if signals:
            last = max(signal.at_us for signal in signals)
            latest = [signal for signal in signals if signal.at_us == last]
            if not all(signal.given for signal in latest):
                return _TRACKING[False, False]
            if all(regimes.tracking_evidence <= signal.held for signal in latest):
                return _TRACKING[True, True]
        if not regimes.tracking_needs_consent:
            return _TRACKING[True, True]
        hygiene = regimes.hygiene and all(
            not table.tracking.needs_consent or not table.commercial or bases.get(table.name) == EXPRESS for table in regimes.tables
        )
        return _TRACKING[False, hygiene]


def _end_of_months(anchor_us: int, months: int, zone: ZoneInfo) -> int:
    """The anniversary is still inside: the route ends with it, at the next local midnight."""
    return day_ends_us(add_months(local_day(anchor_us, zone), months), zone)
