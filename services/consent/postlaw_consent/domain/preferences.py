"""How a person stands, by their own acts, as they see and change it. What may be sent is for the law to say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from postlaw_consent.domain.fold import Fold
from postlaw_consent.domain.scope import EVERYTHING, Belongs, Scope, scope_of

DAY_US = 24 * 3600 * 1_000_000

Tracking = Literal["unsaid", "given", "refused"]


@dataclass(frozen=True, slots=True)
class Choice:
    """One list, topic or brand; `name` is a list's, empty where it is not known, and `brand` the list's, empty for none."""

    scope: Scope
    open: bool
    name: str = ""
    brand: str = ""


@dataclass(frozen=True, slots=True)
class Preferences:
    """`paused_until_us` None: not paused, or until the person ends it. `brand`: of the list that the person came for, "" for none.
    `version`: of the person's last event, 0 for none."""

    choices: tuple[Choice, ...]
    everything_stopped: bool
    paused: bool
    paused_until_us: int | None
    tracking: Tracking
    version: int
    brand: str = ""
    brand_stopped: bool = False

    def is_open(self, scope: Scope) -> bool:
        return any(choice.open for choice in self.choices if choice.scope == scope)


@dataclass(frozen=True, slots=True)
class Listed:
    """A list's name, and its brand ("" for none)."""

    name: str = ""
    brand: str = ""


NOT_LISTED = Listed()


def preferences(state: Fold, about: Scope, lists: Mapping[str, Listed], now_us: int) -> Preferences:
    """`about`: the scope that the person came for, which is among the choices whatever they did before. `lists`: by id, those known."""
    brand = lists.get(about.id, NOT_LISTED).brand if about.kind == "list" else ""
    pause = state.holds.get("paused")
    paused = pause is not None and (pause.until_us is None or now_us < pause.until_us)
    return Preferences(
        choices=tuple(
            Choice(scope, _is_open(state, Belongs(scope, listed.brand)), listed.name, listed.brand)
            for scope in sorted(scopes_of(state, about), key=lambda scope: scope.key)
            for listed in [lists.get(scope.id, NOT_LISTED) if scope.kind == "list" else NOT_LISTED]
        ),
        everything_stopped=state.standing_withdrawal(EVERYTHING) is not None,
        paused=paused,
        paused_until_us=pause.until_us if pause and paused else None,
        tracking="unsaid" if state.tracking is None else "given" if state.tracking.given else "refused",
        version=state.version,
        brand=brand,
        brand_stopped=bool(brand) and state.standing_withdrawal(Scope("brand", brand)) is not None,
    )


def pause_ends_us(now_us: int, days: int) -> int:
    """The first midnight (UTC) after so many whole days, so that whoever asks twice on a day asks for the same."""
    return (now_us // DAY_US + days + 1) * DAY_US


def scopes_of(state: Fold, about: Scope) -> set[Scope]:
    """What the person ever opened or closed, and what they came for."""
    return {about, *map(scope_of, state.closed), *(scope_of(key[1]) for key in state.grants)} - {EVERYTHING}


def _is_open(state: Fold, belongs: Belongs) -> bool:
    """Opened and not closed since; what something wider closed, only an express consent has opened again."""
    return not state.is_closed(belongs) and any(key[1] in belongs.covering for key in state.grants)
