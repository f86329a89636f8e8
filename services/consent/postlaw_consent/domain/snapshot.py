"""A fold's state as JSON: what a long history need not be read again for. It says nothing that the ledger does not."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from postlaw_consent.domain.fact import in_letters, of_letters
from postlaw_consent.domain.fold import Closed, Fold, topics
from postlaw_law.facts import Grant, Hold, TrackingSignal

# Of what a fold keeps. Whoever changes that raises it: snapshots of another form are made anew.
FORM = 5


@dataclass(slots=True)
class History:
    """The fold of a person's first events, with the hash that stands for them: of each event's text, chained to the ones before it."""

    fold: Fold
    digest: bytes = b""


def to_json(fold: Fold) -> str:
    tracking = fold.tracking
    return json.dumps(
        {
            "version": fold.version,
            "closed": {scope: [one.at_us, one.version, one.said_by] for scope, one in fold.closed.items()},
            "grants": [
                [key[0], key[1], in_letters(key[2]), in_letters(key[3]), key[4], [[one.at_us, one.ended_us, one.id] for one in alike]]
                for key, alike in fold.grants.items()
            ],
            "holds": [[hold.kind, hold.at_us, hold.until_us, hold.id] for hold in fold.holds.values()],
            "tracking": tracking and [tracking.given, tracking.at_us, in_letters(tracking.held), tracking.id],
            "territories": sorted(fold.territories),
            "recipient_kind": fold.recipient_kind,
            "address_kind": fold.address_kind,
            "time_zone": fold.time_zone,
            "reopened": sorted(fold.reopened),
            "erased": fold.erased,
            "latest_us": fold.latest_us,
        },
        separators=(",", ":"),
    )


def from_json(text: str) -> Fold:
    """The reverse."""
    said: dict[str, Any] = json.loads(text)
    fold = Fold(
        version=said["version"],
        closed={scope: Closed(*one) for scope, one in said["closed"].items()},
        holds={kind: Hold(kind, at_us, until_us, id) for kind, at_us, until_us, id in said["holds"]},
        territories=set(said["territories"]),
        recipient_kind=said["recipient_kind"],
        address_kind=said["address_kind"],
        time_zone=said["time_zone"],
        reopened=set(said["reopened"]),
        erased=said["erased"],
        latest_us=said["latest_us"],
    )
    for type, scope, held, denied, lifts, alike in said["grants"]:
        has, lacks = of_letters(held), of_letters(denied)
        fold.grants[type, scope, has, lacks, lifts] = [
            Grant(type, at_us, has, lacks, topics(scope), ended_us, id, lifts) for at_us, ended_us, id in alike
        ]
    if said["tracking"]:
        given, at_us, held, id = said["tracking"]
        fold.tracking = TrackingSignal(given, at_us, of_letters(held), id)
    return fold
