"""The mail that asks at a team address, in a text of ours: decided on and sent as every single message."""

from __future__ import annotations

from collections.abc import Callable

from postlaw_common.errors import Conflict
from postlaw_common.ids import new_id
from postlaw_common.placement import Placement
from postlaw_sending.campaigns.clients import Consent, Identity
from postlaw_sending.campaigns.domain.campaign import Sender
from postlaw_sending.campaigns.domain.ruling import TRANSACTIONAL, MessageFacts
from postlaw_sending.singles.send_message import SendMessage
from postlaw_sending.singles.wire import asked_of_team
from postlaw_sending.team.domain import TeamAddress

_FACTS = MessageFacts(TRANSACTIONAL)


class AskTeam:
    """`public_url`: the gateway's."""

    def __init__(
        self, consent: Consent, identity: Identity, send: SendMessage, placement: Callable[[], Placement], public_url: str
    ) -> None:
        self._consent = consent
        self._identity = identity
        self._send = send
        self._placement = placement
        self._public_url = public_url.rstrip("/")

    async def __call__(self, team: TeamAddress, sender: Sender, language: str, token: str) -> None:
        """Within a context that may read decisions. Raises Conflict, of type `not-allowed`, where the address may not be mailed."""
        partition = self._placement().partition(team.tenant_id, team.address_key)
        message_id = new_id("sgl")
        contact = await self._identity.contact(team.tenant_id)
        answer = await self._consent.decide_for_team(message_id, _FACTS, contact, partition, team.address_key)
        [decision] = answer.each
        if not decision.allow:
            codes = ", ".join(answer.rulings[decision.verdict].refusals)
            raise Conflict(f"No mail may go to this address: {codes}.", type="not-allowed")
        await self._send(
            asked_of_team(
                key=f"team/{team.team_address_id}/{team.asked_at_us}",
                address_key=team.address_key,
                address=team.address,
                sender=sender,
                language=language,
                action_url=f"{self._public_url}/t/{token}",
                opt_out_token=decision.opt_out_token,
                gate=answer.gate,
            )
        )
