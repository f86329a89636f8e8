"""gRPC → use case, of team addresses and tests: part of the servicer."""

from __future__ import annotations

from typing import Any

from google.protobuf.empty_pb2 import Empty

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_sending.campaigns.wire import sender_from_wire
from postlaw_sending.team.assembly import TeamParts
from postlaw_sending.team.wire import link_to_wire, team_to_wire


class TeamCalls:
    _team: TeamParts

    async def AddTeamAddress(self, request: sending.AddTeamAddressRequest, context: Any) -> sending.TeamAddress:
        sender = sender_from_wire(request.sender)
        return team_to_wire(await self._team.keep.add(request.address, sender, request.language, seed=request.seed))

    async def ListTeamAddresses(self, request: sending.ListTeamAddressesRequest, context: Any) -> sending.ListTeamAddressesResponse:
        return sending.ListTeamAddressesResponse(team_addresses=map(team_to_wire, await self._team.keep.all()))

    async def RemoveTeamAddress(self, request: sending.RemoveTeamAddressRequest, context: Any) -> Empty:
        await self._team.keep.remove(request.team_address_id)
        return Empty()

    async def DescribeTeamAddress(self, request: sending.TeamAddressTokenRequest, context: Any) -> sending.TeamAddressLink:
        return link_to_wire(*await self._team.keep.described(request.token))

    async def ConfirmTeamAddress(self, request: sending.TeamAddressTokenRequest, context: Any) -> sending.TeamAddressLink:
        return link_to_wire(*await self._team.keep.confirm(request.token))

    async def SendTest(self, request: sending.SendTestRequest, context: Any) -> sending.SendTestResponse:
        sent = await self._team.copies.test(
            request.campaign_id, request.team_address_ids, request.variant, dict(request.fields), request.idempotency_key
        )
        return sending.SendTestResponse(
            sent=[sending.SendTestResponse.Sent(team_address_id=id, message_id=message) for id, message in sent]
        )
