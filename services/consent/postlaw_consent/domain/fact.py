"""What the gate needs of an event, as one text. The ledger keeps it beside the event, and nearly all people of an import share it:
so they are decided on without an event being parsed.

`at kind route terms scope`: microseconds, words, and the terms as JSON without a space ("-" for none); the scope comes last, since a
topic may have spaces in it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, cast

from postlaw_consent.domain.event import EXPRESS, ConsentEvent, Kind, Route
from postlaw_consent.domain.particulars import RELATIONSHIPS, Particulars
from postlaw_law.words import AddressKind, Evidence, RecipientKind, RouteEvent

# A letter for each piece of evidence. They stand in every ledger: a letter never changes its meaning.
_LETTERS: dict[Evidence, str] = {
    "affirmative_act": "a", "proof_ref": "p", "purpose": "u", "requester_named": "r", "withdrawal_info": "w", "separate": "s",
    "contact_shown": "c", "wording_version": "v", "obtained_by_sender": "o", "refusal_offered": "f", "negotiation": "n",
    "no_refusal_statement": "x", "published_by_agreement": "y", "referrer_name": "m",
}  # fmt: skip
_WITH_EVIDENCE: frozenset[Kind] = frozenset({*EXPRESS, "implied", "tracking_given"})
_EVIDENCE: dict[str, Evidence] = {letter: name for name, letter in _LETTERS.items()}


@dataclass(frozen=True, slots=True)
class Terms:
    """`refers_to`: a version of the same person, 0 for none. `attested`: somebody else says that it was so, though the route is not an
    import's. "" where nothing was stated."""

    relationship: RouteEvent | None = None
    held: frozenset[Evidence] = frozenset()
    denied: frozenset[Evidence] = frozenset()
    territories: tuple[str, ...] = ()
    ended_us: int | None = None
    until_us: int | None = None
    recipient_kind: RecipientKind | None = None
    address_kind: AddressKind | None = None
    time_zone: str = ""
    objection: str = ""
    refers_to: int = 0
    attested: bool = False


NO_TERMS = Terms()


class Fact(NamedTuple):
    """`scope` is its key. `at_us`: microseconds since the epoch."""

    version: int
    kind: Kind
    scope: str
    route: Route
    at_us: int
    terms: Terms = NO_TERMS


def text_of(event: ConsentEvent) -> str:
    return f"{event.at_us} {event.kind} {event.route} {_terms_text(event)} {event.scope.key}"


def text_at(text: str, at_us: int) -> str:
    """The same act at another time."""
    return f"{at_us} {text.partition(' ')[2]}"


def fact_of(version: int, text: str) -> Fact:
    """The reverse. ValueError where the text is none of ours."""
    at_us, act = text.split(" ", 1)
    kind, scope, route, terms = _act(act)
    return Fact(version, kind, scope, route, int(at_us), terms)


@lru_cache(8192)
def _act(act: str) -> tuple[Kind, str, Route, Terms]:
    kind, route, terms, scope = act.split(" ", 3)
    return cast("Kind", kind), scope, cast("Route", route), NO_TERMS if terms == "-" else _terms(json.loads(terms))


def held_by(event: ConsentEvent) -> frozenset[Evidence]:
    """The evidence that the law may count on: what was stated, and what follows from what the ledger holds."""
    particulars = event.particulars
    grade = particulars.grade or ("attested" if event.route == "import" else "captured")
    if grade == "none":
        return frozenset()
    held: set[Evidence] = {cast("Evidence", name) for name in particulars.held}
    if event.source or event.notice_hash or event.sealed_attestation:
        held.add("proof_ref")
    if event.notice_hash:
        held.add("wording_version")
    return frozenset(held)


def _terms_text(event: ConsentEvent) -> str:
    said: Particulars = event.particulars
    terms: dict[str, Any] = {
        "r": RELATIONSHIPS.get(said.relationship),
        "h": in_letters(held_by(event)) if event.kind in _WITH_EVIDENCE else "",
        "d": in_letters(frozenset(cast("tuple[Evidence, ...]", said.denied))),
        "t": ",".join(sorted(said.territories)),
        "e": said.ended_us,
        "u": said.until_us,
        "k": said.recipient_kind,
        "a": said.address_kind,
        "z": said.time_zone,
        "o": said.objection,
        "f": said.refers_to_version,
        "g": int(said.grade == "attested" and event.route != "import"),
    }
    terms = {name: value for name, value in terms.items() if value not in (None, "", 0) or (name in "eu" and value == 0)}
    return json.dumps(terms, separators=(",", ":")) if terms else "-"


def _terms(terms: dict[str, Any]) -> Terms:
    return Terms(
        relationship=terms.get("r"),
        held=of_letters(terms.get("h", "")),
        denied=of_letters(terms.get("d", "")),
        territories=tuple(terms["t"].split(",")) if "t" in terms else (),
        ended_us=terms.get("e"),
        until_us=terms.get("u"),
        recipient_kind=terms.get("k"),
        address_kind=terms.get("a"),
        time_zone=terms.get("z", ""),
        objection=terms.get("o", ""),
        refers_to=terms.get("f", 0),
        attested=bool(terms.get("g", 0)),
    )


def in_letters(evidence: frozenset[Evidence]) -> str:
    """A letter for each, in their order."""
    return "".join(sorted(_LETTERS[name] for name in evidence))


def of_letters(letters: str) -> frozenset[Evidence]:
    return frozenset(_EVIDENCE[letter] for letter in letters)
