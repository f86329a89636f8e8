"""Where a person stands: a fold over their part of the ledger, into the facts that the law decides on.

The law itself says which consents carry a message and which lift an opt-out (libs/law). Beside it stand rules of ours, each the
stricter of two readings:
- An opt-out closes its scope, whatever time it bears; one of a brand closes every list of it, one of everything every scope. An objection
  is of everything, and so is a complaint that names no brand.
- After an opt-out that covers it, an express consent counts only if it is an act of the person on a page of ours that they reached by a
  token of their own, recorded later and given later: no import, no customer's system and nothing attested lifts it. A relationship counts
  on its own, but lifts nothing.
- A scope that was itself closed is not reopened by a consent to a wider one.
- Of which brand a list is, only the message says. So an import's consent to a list may stand here beside its brand's opt-out: it lifts
  nothing.
- An objection to processing on legitimate interest closes as one to marketing does; one to profiling ends tracking.
- A pause or a restriction is lengthened by another one, and shortened only by its end being said, later than it was said itself, and not
  by an import.
- What whoever runs the installation has stopped everywhere holds everything, of this customer as of all, until they lift it: it is no
  opt-out, so nobody's consent, later or fresh or of whatever scope, can reopen it.
- A hard bounce holds everything until the address is said to be reachable: it is no act of the person, and no opt-out.
- An erasure is an opt-out of everything after which the consents before it, and relationships, and a yes to tracking, are no more.
- A relationship stated anew, such as a contract that has ended, replaces what was stated of it before.
Replaying an event changes nothing. Past 300 lines by a few: all of it stands in one file, for no rule is safe but beside the others.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from zoneinfo import ZoneInfo

from postlaw_consent.domain.event import EXPRESS, Kind, Route
from postlaw_consent.domain.fact import Fact
from postlaw_consent.domain.particulars import RUNNING
from postlaw_consent.domain.scope import EVERYTHING, PLATFORM, Belongs, Scope
from postlaw_law.facts import ANY_TOPIC, Grant, Hold, HoldKind, OptOut, Person, TrackingSignal
from postlaw_law.words import AddressKind, Evidence, RecipientKind, RouteEvent

FRESH_ROUTES: frozenset[Route] = frozenset({"api", "page"})
OWN_ROUTES: frozenset[Route] = frozenset({"page"})

_ALL = EVERYTHING.key
_PLATFORM = PLATFORM.key
_OPT_OUTS = frozenset({"withdrawn", "refused", "complained", "objected"})
_ENDS_HOLD: dict[Kind, HoldKind] = {"resumed": "paused", "unrestricted": "restricted"}
_ALIKE_KEPT = 4  # grants that differ in time alone: the latest decide, the others are there in case one is declared invalid

_GrantKey = tuple[RouteEvent, str, frozenset[Evidence], frozenset[Evidence], bool]


@dataclass(frozen=True, slots=True)
class Closed:
    """An opt-out of one scope: when, as late as anything that must not lift it, and the event that said so first without a break.
    `version` 0: reopened since, though the law may find that what reopened it was not enough."""

    at_us: int
    version: int
    said_by: int


@dataclass(slots=True)
class Fold:
    """The state after the events up to `version`. Apply them in the order of their versions; an older one is ignored."""

    version: int = 0
    closed: dict[str, Closed] = field(default_factory=dict[str, Closed])  # by scope key
    grants: dict[_GrantKey, list[Grant]] = field(default_factory=dict[_GrantKey, list[Grant]])
    holds: dict[str, Hold] = field(default_factory=dict[str, Hold])
    tracking: TrackingSignal | None = None
    territories: set[str] = field(default_factory=set[str])
    recipient_kind: RecipientKind = "natural"
    address_kind: AddressKind = "personal"
    time_zone: str = ""
    reopened: set[str] = field(default_factory=set[str])  # wide scopes in which something was opened, perhaps closed again, since
    erased: int = 0  # the version of the erasure that closed everything, where none of the person's opt-outs did
    latest_us: int = 0

    def apply(self, fact: Fact) -> None:
        if fact.version <= self.version:
            return
        self.version = fact.version
        self._learn(fact)
        kind = fact.kind
        if fact.scope == _PLATFORM:
            self._by_platform(fact)
        elif kind in EXPRESS:
            self._express(fact)
        elif kind == "implied":
            self._implied(fact)
        elif kind in _OPT_OUTS:
            self._opt_out(fact)
        elif kind == "erased":
            self._erase(fact)
        elif kind == "paused" or kind == "restricted" or kind == "bounced":
            self._hold(kind, fact)
        elif kind in _ENDS_HOLD:
            self._end_hold(_ENDS_HOLD[kind], fact)
        elif kind == "reachable":
            self.holds.pop("bounced", None)
        elif kind == "tracking_given" or kind == "tracking_withdrawn":
            self._track(kind == "tracking_given", fact)
        elif kind == "invalidated" or kind == "expired":
            self._drop(fact)
        self.latest_us = max(self.latest_us, fact.at_us)

    def _learn(self, fact: Fact) -> None:
        """What was stated of the person: territories add up, since conflicting evidence means all of them; else the latest counts."""
        terms = fact.terms
        self.territories.update(terms.territories)
        self.recipient_kind = terms.recipient_kind or self.recipient_kind
        self.address_kind = terms.address_kind or self.address_kind
        self.time_zone = terms.time_zone or self.time_zone

    def _by_platform(self, fact: Fact) -> None:
        if fact.kind == "withdrawn":
            self._hold("platform", fact)
        elif fact.kind == "lifted":
            self.holds.pop("platform", None)

    def _express(self, fact: Fact) -> None:
        scope = fact.scope
        covering = [closed.at_us for key in {scope, _ALL} if (closed := self.closed.get(key)) is not None]
        own = _is_own(fact)
        if covering and not (own and fact.at_us > max(covering)):
            return
        if scope == _ALL and not own and any(not closed.version for closed in self.closed.values()):
            return  # a list was closed, and opened by an act that may not be enough: a blanket import must not be what lifts it
        self._grant("express_consent", fact)
        if scope in self.closed:
            closed = self.closed[scope]
            self.closed[scope] = Closed(closed.at_us, 0, closed.said_by)
        for key, closed in self.closed.items():
            if not closed.version:
                continue
            if _wider(scope, key):  # closed by itself: what opens all around it does not open it
                self.closed[key] = Closed(max(closed.at_us, fact.at_us), closed.version, closed.said_by)
            elif _wider(key, scope):
                self.reopened.add(key)

    def _implied(self, fact: Fact) -> None:
        relationship = fact.terms.relationship
        if relationship is None:
            return
        if relationship in RUNNING:
            refers_to = str(fact.terms.refers_to)
            for key in [key for key in self.grants if key[:2] == (relationship, fact.scope)]:
                kept = [grant for grant in self.grants[key] if fact.terms.refers_to and grant.id != refers_to]
                self._keep(key, kept)
        self._grant(relationship, fact)

    def _grant(self, type: RouteEvent, fact: Fact) -> None:
        terms = fact.terms
        grant = _grant_of(type, fact)
        key = (type, fact.scope, terms.held, terms.denied, grant.lifts)
        alike = self.grants.setdefault(key, [])
        alike.append(grant)
        if len(alike) > _ALIKE_KEPT:
            alike.remove(min(alike, key=lambda one: one.at_us))

    def _opt_out(self, fact: Fact) -> None:
        if fact.kind == "objected" and fact.terms.objection == "profiling":
            self._track(given=False, fact=fact)
            return
        scope = _ALL if fact.kind in ("objected", "erased") or (fact.kind == "complained" and not _is_brand(fact.scope)) else fact.scope
        before = self.closed.get(scope)
        at_us = max(fact.at_us, self.latest_us, before.at_us if before else 0)
        standing = before.version if before and scope not in self.reopened and before.said_by != self.erased else 0
        self.closed[scope] = Closed(at_us, standing or fact.version, before.said_by if before and standing else fact.version)
        self.reopened.discard(scope)

    def _erase(self, fact: Fact) -> None:
        self.grants.clear()
        if self.tracking is not None and self.tracking.given:
            self.tracking = None
        self._opt_out(fact)
        self.erased = fact.version if self.closed[_ALL].said_by == fact.version else self.erased

    def _hold(self, kind: HoldKind, fact: Fact) -> None:
        """One that stands is only lengthened: a resumption is what shortens it."""
        before, until_us = self.holds.get(kind), fact.terms.until_us
        at_us = fact.at_us
        if before is not None:
            at_us = max(at_us, before.at_us)  # it began earlier, but only what is later than its last word ends it
            until_us = None if until_us is None or before.until_us is None else max(until_us, before.until_us)
        self.holds[kind] = Hold(kind, at_us, until_us, str(fact.version))

    def _end_hold(self, kind: HoldKind, fact: Fact) -> None:
        """A list of another system knows nothing of it, and what was said before it, or at once, is not its end."""
        hold = self.holds.get(kind)
        if hold is not None and _is_fresh(fact) and fact.at_us > hold.at_us:
            del self.holds[kind]

    def _track(self, given: bool, fact: Fact) -> None:
        before = self.tracking
        if given and before is not None and not before.given and not _is_fresh(fact):
            return  # as with an opt-out: nobody else says that a no is none any more
        if before is None or fact.at_us > before.at_us or (fact.at_us == before.at_us and not given):
            self.tracking = TrackingSignal(given, fact.at_us, fact.terms.held, str(fact.version))

    def _drop(self, fact: Fact) -> None:
        """The consent that is named; where none is, all that its scope covers."""
        refers_to = str(fact.terms.refers_to) if fact.terms.refers_to else None
        for key in list(self.grants):
            if refers_to is None and fact.scope in (_ALL, key[1]):
                del self.grants[key]
            elif refers_to is not None:
                self._keep(key, [grant for grant in self.grants[key] if grant.id != refers_to])

    def _keep(self, key: _GrantKey, grants: list[Grant]) -> None:
        if grants:
            self.grants[key] = grants
        else:
            del self.grants[key]

    def person(self) -> Person:
        """The law's facts. Ids in them are versions."""
        return Person(
            territories=tuple(sorted(self.territories)),
            recipient_kind=self.recipient_kind,
            address_kind=self.address_kind,
            grants=tuple(grant for alike in self.grants.values() for grant in alike),
            opt_outs=tuple(
                OptOut(one.at_us, topics(scope), str(one.said_by), one.said_by == self.erased) for scope, one in self.closed.items()
            ),
            holds=tuple(self.holds.values()),
            tracking=(self.tracking,) if self.tracking else (),
            zone=ZoneInfo(self.time_zone) if self.time_zone else None,
        )

    def is_closed(self, belongs: Belongs, *, but_by_erasure: bool = False) -> bool:
        """By an opt-out that covers it, after which no express consent to any of the same scopes has counted. `but_by_erasure`: and that is
        no erasure."""
        covering = belongs.covering
        closed_us = [
            closed.at_us
            for key in covering
            if (closed := self.closed.get(key)) is not None and not (but_by_erasure and closed.said_by == self.erased)
        ]
        if not closed_us:
            return False
        express = (grant for key, alike in self.grants.items() if key[0] == "express_consent" and key[1] in covering for grant in alike)
        return not any(grant.lifts and grant.at_us > max(closed_us) for grant in express)

    def standing_withdrawal(self, scope: Scope) -> int | None:
        """The version of the opt-out by which this very scope has been closed without a break; None where a new one is needed.

        Without a break, because the receipt rests on that event's place in the log: mail of a scope that was reopened since could
        still be under way, and only a later event's place would say so."""
        if scope == PLATFORM:
            hold = self.holds.get("platform")
            return int(hold.id) if hold is not None else None
        closed = self.closed.get(scope.key)
        if closed is None or scope.key in self.reopened or closed.said_by == self.erased:
            return None  # an erasure is no withdrawal
        return closed.version or None

    def standing_pause(self, until_us: int | None) -> int | None:
        """The version of the pause that stands until then; None where a new one is needed."""
        hold = self.holds.get("paused")
        return int(hold.id) if hold is not None and hold.until_us == until_us else None

    def standing_no_to_tracking(self) -> int | None:
        """The version of the no that stands; None where a new one is needed."""
        return int(self.tracking.id) if self.tracking is not None and not self.tracking.given else None


def fold(facts: Iterable[Fact]) -> Fold:
    """The state after these facts, in whatever order and however often they come."""
    state = Fold()
    for fact in sorted(facts, key=lambda fact: fact.version):
        state.apply(fact)
    return state


def person_of(fact: Fact) -> Person:
    """What the fold gives of someone's only event, without its state where that is a consent, as nearly everyone's is."""
    if fact.kind not in EXPRESS:
        return fold([fact]).person()
    terms = fact.terms
    return Person(
        territories=tuple(sorted(terms.territories)),
        recipient_kind=terms.recipient_kind or "natural",
        address_kind=terms.address_kind or "personal",
        grants=(_grant_of("express_consent", fact),),
        zone=ZoneInfo(terms.time_zone) if terms.time_zone else None,
    )


def _grant_of(type: RouteEvent, fact: Fact) -> Grant:
    terms = fact.terms
    return Grant(type, fact.at_us, terms.held, terms.denied, topics(fact.scope), terms.ended_us, str(fact.version), _is_own(fact))


def _is_own(fact: Fact) -> bool:
    """Whether the person did it themselves, before our eyes: what a customer's system says of them may be a sync of old consents."""
    return fact.route in OWN_ROUTES and _is_fresh(fact)


def _is_fresh(fact: Fact) -> bool:
    """Whether it may be an act of the person, of that moment."""
    return fact.route in FRESH_ROUTES and not fact.terms.attested


def _is_brand(scope: str) -> bool:
    return scope.startswith("brand:")


def _wider(scope: str, other: str) -> bool:
    """Whether it covers the other one, or may: of which brand a list or a topic is, is not said here."""
    return scope != other and (scope == _ALL or (_is_brand(scope) and other != _ALL and not _is_brand(other)))


@lru_cache(4096)
def topics(scope: str) -> frozenset[str]:
    """What the law calls the scope of this key."""
    return ANY_TOPIC if scope == _ALL else frozenset({scope})
