"""What the first gate decided, on its way to the log: before the answer, so that no batch is sent on a decision that nobody can replay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from postlaw_common.bus import Bus, Topic
from postlaw_common.events import Event, to_record
from postlaw_common.ids import new_id
from postlaw_consent.domain.message import Asked, Sender
from postlaw_consent.domain.scope import Belongs
from postlaw_law.decision import Decision

DECISIONS = Topic("postlaw.consent.decisions.v1")

_TYPE = "postlaw.consent.DecisionsMade"


@dataclass(frozen=True, slots=True)
class Made:
    """`places`, `ends` and `events` are of each of `address_keys`: the place of its verdict, when it ends (0: not by itself; microseconds
    since the epoch), and how many of its events were decided on.
    `inputs`: SHA-256 of all that was decided on."""

    tenant_id: str
    campaign_id: str
    belongs: Belongs
    asked: Asked
    sender: Sender
    decided_at_us: int
    law_version: str
    inputs: bytes
    partition: int
    verdicts: Sequence[Decision]
    address_keys: Sequence[bytes]
    places: Sequence[int]
    ends: Sequence[int]
    events: Sequence[int]


class DecisionsMade:
    """`encode`: the wire's."""

    def __init__(self, bus: Bus, encode: Callable[[Made], bytes]) -> None:
        self._bus = bus
        self._encode = encode

    async def publish(self, made: Made) -> None:
        """Returns once durable. Raises BusUnavailable."""
        event = Event(
            id=new_id("evt"),
            type=_TYPE,
            source="consent",
            subject=made.campaign_id or made.tenant_id,
            sequence=0,
            tenant_id=made.tenant_id,
            time_us=made.decided_at_us,
            data=self._encode(made),
            actor="service:consent",
        )
        await self._bus.publish([to_record(event, DECISIONS.name, made.partition)])
