"""Team addresses' protobuf."""

from __future__ import annotations

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_sending.campaigns.wire import timestamp
from postlaw_sending.team.addresses import TeamAddress


def team_to_wire(team: TeamAddress) -> sending.TeamAddress:
    return sending.TeamAddress(
        team_address_id=team.team_address_id,
        address=team.address,
        state=sending.TeamAddress.STATE_CONFIRMED if team.confirmed_at_us else sending.TeamAddress.STATE_ASKED,
        seed=team.seed,
        created_at=timestamp(team.created_at_us),
        confirmed_at=timestamp(team.confirmed_at_us),
    )


def link_to_wire(team: TeamAddress, expired: bool) -> sending.TeamAddressLink:
    return sending.TeamAddressLink(
        tenant_id=team.tenant_id, address_key=team.address_key, confirmed=bool(team.confirmed_at_us), expired=expired
    )
