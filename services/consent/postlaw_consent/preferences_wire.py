"""The preference centre's dataclasses to protobuf and back."""

from __future__ import annotations

from typing import get_args

from postlaw.consent.v1 import consent_pb2 as pb
from postlaw_consent.domain.preferences import Preferences, Tracking
from postlaw_consent.domain.scope import EVERYTHING
from postlaw_consent.domain.token import OptOut
from postlaw_consent.use_cases.change_preferences import Act, Change, Changed
from postlaw_consent.wire import OUTCOMES, invalid, scope_from_wire, scope_to_wire, timestamp

_ACTS: dict[int, Act] = {pb.ChangePreferencesRequest.Change.Value(f"CHANGE_{act.upper()}"): act for act in get_args(Act)}
_TRACKING: dict[Tracking, pb.Preferences.Tracking.ValueType] = {
    "unsaid": pb.Preferences.TRACKING_UNSPECIFIED,
    "given": pb.Preferences.TRACKING_GIVEN,
    "refused": pb.Preferences.TRACKING_REFUSED,
}


def change_from_wire(message: pb.ChangePreferencesRequest) -> Change:
    """Raises Invalid where it names no change that this version knows, or no scope that the change needs."""
    act = _ACTS.get(message.change)
    if act is None:
        raise invalid("change", "not a known change")
    return Change(
        act=act,
        scope=scope_from_wire(message.scope) if act in ("stop", "start") else EVERYTHING,
        pause_days=message.pause_days,
        wording=message.wording,
        language=message.language,
        contact_shown=message.contact_shown,
    )


def preferences_to_wire(optout: OptOut, found: Preferences) -> pb.Preferences:
    return pb.Preferences(
        tenant_id=optout.tenant_id,
        address_key=optout.address_key,
        choices=[pb.Preferences.Choice(scope=scope_to_wire(one.scope), list_name=one.name, open=one.open) for one in found.choices],
        everything_stopped=found.everything_stopped,
        paused=found.paused,
        paused_until=timestamp(found.paused_until_us) if found.paused_until_us is not None else None,
        tracking=_TRACKING[found.tracking],
        brand=found.brand,
        brand_stopped=found.brand_stopped,
    )


def changed_to_wire(changed: Changed) -> pb.PreferencesChanged:
    return pb.PreferencesChanged(
        outcome=OUTCOMES[changed.outcome], already=changed.already, preferences=preferences_to_wire(changed.optout, changed.preferences)
    )
