"""Team addresses' protobuf, and the event that tells of a change."""

from __future__ import annotations

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.caller import Actor
from postlaw_sending.campaigns.wire import actor_to_wire, timestamp
from postlaw_sending.team.domain import TeamAddress

TEAM = "postlaw.sending.team.v1"
TEAM_ADDRESS_CHANGED = "postlaw.sending.TeamAddressChanged"


def team_to_wire(team: TeamAddress) -> sending.TeamAddress:
    return sending.TeamAddress(
        team_address_id=team.team_address_id,
        address=team.address,
        state=_state(team),
        seed=team.seed,
        created_at=timestamp(team.created_at_us),
        confirmed_at=timestamp(team.confirmed_at_us),
    )


def link_to_wire(team: TeamAddress, expired: bool) -> sending.TeamAddressLink:
    return sending.TeamAddressLink(
        tenant_id=team.tenant_id, address_key=team.address_key, confirmed=bool(team.confirmed_at_us), expired=expired
    )


def changed(team: TeamAddress, version: int, actor: Actor | None, *, removed: bool) -> bytes:
    """A TeamAddressChanged."""
    return sending.TeamAddressChanged(
        tenant_id=team.tenant_id,
        team_address_id=team.team_address_id,
        state=_state(team),
        seed=team.seed,
        removed=removed,
        version=version,
        actor=actor_to_wire(actor) if actor else None,
    ).SerializeToString()


def _state(team: TeamAddress) -> sending.TeamAddress.State.ValueType:
    return sending.TeamAddress.STATE_CONFIRMED if team.confirmed_at_us else sending.TeamAddress.STATE_ASKED
