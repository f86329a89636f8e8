"""What a sample of the audience shows: whom the law lets have it, and which fields are missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from postlaw_sending.campaigns.wire import JobRecipient
from postlaw_sending.checklist.items import Item

ENOUGH: Final = 0.9  # of those looked at may have it: fewer is worth a word
_NAMED_MOST: Final = 5
OURS: Final = frozenset({"address", "unsubscribe_url"})  # fields that everybody has


@dataclass(slots=True)
class Sample:
    """People of the audience as the first gate has just decided on them; no address of theirs leaves it. `bases`: how many rest on
    what, by regime. `watched`: address keys of those who may have it and allow some of what the campaign asks to know."""

    people: list[JobRecipient] = field(default_factory=list[JobRecipient])
    bases: Counter[str] = field(default_factory=Counter[str])
    watched: list[bytes] = field(default_factory=list[bytes])

    @property
    def allowed(self) -> list[JobRecipient]:
        return [person for person in self.people if not person.refusals]


def audience(sample: Sample) -> Item:
    seen, allowed = len(sample.people), len(sample.allowed)
    if not seen:
        return Item("audience", "warn", "There is nobody on the list.", "See that it is the list that you mean.")
    refused = Counter(",".join(person.refusals) for person in sample.people if person.refusals)
    what = f"Of {seen:,} people looked at, {allowed:,} may have it"
    if sample.bases:
        what += f" ({_counted(sample.bases)})"
    if refused:
        what += f"; the others not: {_counted(refused)}"
    if allowed >= seen * ENOUGH:
        return Item("audience", "pass", f"{what}.")
    return Item("audience", "warn", f"{what}.", "They get nothing. Look at how they came to the list.")


def fields(names: Collection[str], placed: Collection[str], sample: Sample) -> Item:
    """`names` are what the templates read, `placed` those that simply stand somewhere in them."""
    people = sample.allowed
    lacking = {name: sum(not person.fields.get(name) for person in people) for name in sorted(set(names) - OURS)}
    nobody_has = [name for name, count in lacking.items() if people and count == len(people) and name in placed]
    if nobody_has:
        said = ", ".join(nobody_has[:_NAMED_MOST])
        return Item("fields", "fail", f"Of {len(people):,} people looked at, nobody has the field: {said}.", "Is it spelt as on the list?")
    missing = {name: count for name, count in lacking.items() if count}
    if missing:
        return Item(
            "fields", "warn", f"Missing of {len(people):,} looked at: {_counted(Counter(missing))}.", "Give the template a default."
        )
    return Item("fields", "pass", "Everyone looked at has every field." if lacking else "The templates read no field.")


def long_silent(days: int, watched: int, silent: int) -> Item:
    """`days`: the campaign's rule, 0 where it has none. `watched`: those looked at who could have given a sign; `silent`: how many of them
    gave none for longer."""
    if not days:
        return Item("long_silent", "pass", "Nobody was counted: the campaign leaves out no silent (leave_out_silent_days).")
    if not watched:
        return Item("long_silent", "pass", "Nobody looked at may have it and allows signs of theirs to be known: nobody counts as silent.")
    what = f"Of {watched:,} people looked at who may have it and allow signs of theirs to be known, {silent:,} gave none for {days:,} days."
    if not silent:
        return Item("long_silent", "pass", what)
    return Item("long_silent", "warn", what, "They get nothing. Ask them once, without the rule, whether they still want mail, or stop.")


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.most_common(_NAMED_MOST))
