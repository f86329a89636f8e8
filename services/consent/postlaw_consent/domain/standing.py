"""Where a person stands: a fold over their part of the ledger, and the first gate's answer from it.

The rules, each the stricter of two readings:
- A withdrawal closes its scope, whatever time it bears; one of everything closes every scope.
- A consent opens its scope. After a withdrawal that covers it, only a fresh express act of the person does: recorded later,
  given later, and not by an import. It reopens that scope and no other.
- A scope that was itself withdrawn is not reopened by a consent to everything.
- Replaying an event changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from postlaw_consent.domain.event import Kind, Route
from postlaw_consent.domain.scope import EVERYTHING, Scope

LAW_VERSION = "consent-on-record/1"
BASIS = "express_consent"
FRESH_ROUTES: frozenset[Route] = frozenset({"api", "page"})

_ALL = EVERYTHING.key


@dataclass(frozen=True, slots=True)
class Fact:
    """What the fold needs of one event. `scope` is its key."""

    version: int
    kind: Kind
    scope: str
    route: Route
    at_us: int


@dataclass(frozen=True, slots=True)
class Standing:
    """Scope keys: `opened` stand open; `closed` were withdrawn and have not been reopened, each with the version that closed it.

    `reopened`: something was opened, perhaps closed again, after everything had been withdrawn."""

    opened: frozenset[str]
    closed: dict[str, int]
    reopened: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """`reasons` why not, `basis` why."""

    allow: bool
    reasons: tuple[str, ...] = ()
    basis: str = ""


NOBODY = Standing(frozenset(), {})

_ALLOWED = Decision(True, basis=BASIS)
_REFUSED: dict[tuple[str, ...], Decision] = {}


def fold(facts: Iterable[Fact]) -> Standing:
    """The standing after these facts, in whatever order and however often they come."""
    opened: set[str] = set()
    closed: dict[str, int] = {}
    withdrawn_at: dict[str, int] = {}
    reopened = False
    for fact in sorted(facts, key=lambda fact: fact.version):
        scope = fact.scope
        if fact.kind == "withdrawn":
            withdrawn_at[scope] = max(fact.at_us, withdrawn_at.get(scope, fact.at_us))
            if scope == _ALL:
                if reopened:
                    del closed[_ALL]
                opened.clear()
                reopened = False
            closed.setdefault(scope, fact.version)
            opened.discard(scope)
        elif _opens(fact, withdrawn_at):
            opened.add(scope)
            closed.pop(scope, None)
            reopened = _ALL in closed
    return Standing(frozenset(opened), closed, reopened)


def _opens(fact: Fact, withdrawn_at: dict[str, int]) -> bool:
    covering = [withdrawn_at[scope] for scope in (fact.scope, _ALL) if scope in withdrawn_at]
    return not covering or (fact.route in FRESH_ROUTES and fact.at_us > max(covering))


def decide(standing: Standing, scope: Scope) -> Decision:
    """May a message of this scope go to this person?"""
    key = scope.key
    if key in standing.opened or (_ALL in standing.opened and key not in standing.closed):
        return _ALLOWED
    reasons: list[str] = []
    if key in standing.closed and key != _ALL:
        reasons.append("WITHDRAWN_LIST" if scope.kind == "list" else "WITHDRAWN_TOPIC")
    if _ALL in standing.closed:
        reasons.append("WITHDRAWN_ALL")
    return _refusal(tuple(reasons) or ("NO_CONSENT",))


def _refusal(reasons: tuple[str, ...]) -> Decision:
    known = _REFUSED.get(reasons)
    if known is None:
        known = _REFUSED[reasons] = Decision(False, reasons)
    return known


def standing_withdrawal(standing: Standing, scope: Scope) -> int | None:
    """The version of the withdrawal by which this very scope has been closed without a break; None where a new one is needed.

    Without a break, because the receipt rests on that event's place in the log: mail of a scope that was reopened since could
    still be under way, and only a later event's place would say so."""
    if scope == EVERYTHING and standing.reopened:
        return None
    return standing.closed.get(scope.key)
