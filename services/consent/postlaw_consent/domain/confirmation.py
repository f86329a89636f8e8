"""What the link of a confirmation mail says, and where the sign-up that it is about stands. Its token is an unsubscribe token's twin under
another key: nobody reads or makes one but us, and neither opens as the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from postlaw_consent.domain.fact import Fact
from postlaw_consent.domain.fold import fold
from postlaw_consent.domain.scope import Belongs, Scope
from postlaw_consent.domain.token import OptOut

LIFE_US = 7 * 24 * 3600 * 1_000_000  # the mail says so

State = Literal["open", "confirmed", "expired", "void"]

_CLOSES = frozenset({"withdrawn", "refused", "complained"})
_CLOSES_ALL = frozenset({"objected", "restricted", "erased"})


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Of which sign-up: the person's event `version`, made on this form. `expires_us`: microseconds since the epoch."""

    tenant_id: str
    address_key: bytes
    scope: Scope
    form_id: str
    version: int
    expires_us: int

    @property
    def about(self) -> str:
        """What stands in the token beside the person and the scope."""
        return f"{self.form_id}/{self.version}/{self.expires_us}"


def confirmation_of(opened: OptOut) -> Confirmation:
    """ValueError where the token is about something else."""
    form_id, version, expires_us = opened.campaign_id.split("/")
    return Confirmation(opened.tenant_id, opened.address_key, opened.scope, form_id, int(version), int(expires_us))


def state_of(confirmation: Confirmation, belongs: Belongs, history: Sequence[Fact], now_us: int) -> State | None:
    """`belongs`: the form's list. None where there is no such sign-up. A sign-up that the person has confirmed stays so, whatever they did
    later; one that they stopped before confirming it is void: their no is later than their request."""
    version, covering = confirmation.version, belongs.covering
    if not any(fact.version == version and fact.kind == "requested" and fact.scope == confirmation.scope.key for fact in history):
        return None
    later = [fact for fact in history if fact.version > version]
    if any(fact.kind == "confirmed" and fact.terms.refers_to == version for fact in later):
        return "confirmed"
    if any(fact.kind in _CLOSES_ALL or (fact.kind in _CLOSES and fact.scope in covering) for fact in later):
        return "void"
    return "expired" if now_us >= confirmation.expires_us else "open"


def suppressed(history: Sequence[Fact], belongs: Belongs, *, confirming: bool) -> bool:
    """Whether nobody else's act may reach this person for this: an opt-out or a restriction stands. The way back is
    their own page. Of one who was erased nothing is left but that: they may come back, where they are to confirm it (`confirming`)."""
    state = fold(history)
    return not state.holds.keys().isdisjoint({"restricted", "platform"}) or state.is_closed(belongs, but_by_erasure=confirming)
