"""The first gate, in bulk: may this message go to these people? The end of the log is read before any fact (design §3, rule 6)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress

from postlaw_common.errors import FieldError, Invalid
from postlaw_common.foreground import step_aside
from postlaw_common.placement import Placement
from postlaw_consent.decisions_made import DecisionsMade, Made
from postlaw_consent.domain.gate import NOBODY, Gate, Standing, events_of
from postlaw_consent.domain.message import Asked, Sender
from postlaw_consent.domain.scope import Belongs, Scope
from postlaw_consent.ends import Ends
from postlaw_consent.ledger import Ledger
from postlaw_consent.standings import Standings
from postlaw_consent.tokens import Tokens
from postlaw_consent.views import TooManyPeople, Views
from postlaw_law.deciding import Campaign
from postlaw_law.decision import Decision
from postlaw_law.facts import Message
from postlaw_law.law import Law

VALID_US = 7 * 24 * 3600 * 1_000_000
_AT_ONCE = 100  # people decided before others get their turn on the event loop: about a millisecond
_MESSAGES = 200  # kept ready at a time

SenderOf = Callable[[str], Awaitable[Sender]]


@dataclass(frozen=True, slots=True)
class Decisions:
    """In the order asked: `places` in `verdicts`, which has each answer once. `tokens`: one for each that is allowed, None where none was
    asked for or the answer is no. `inputs`: the hash of what was decided on."""

    verdicts: Sequence[Decision]
    places: list[int]
    tokens: list[bytes | None]
    consent_offset: int
    generation: str  # of the topics, to which the offset belongs
    decided_at_us: int
    expires_at_us: int
    law_version: str
    inputs: bytes


class GetDecisions:
    """`law`: the law as loaded. `sender_of`: where a customer stands in it."""

    def __init__(
        self,
        ledger: Ledger,
        standings: Standings,
        ends: Ends,
        views: Views,
        tokens: Tokens,
        law: Law,
        sender_of: SenderOf,
        made: DecisionsMade,
        placement: Callable[[], Placement],
        generation: Callable[[], str],
        now_us: Callable[[], int],
    ) -> None:
        self._generation = generation
        self._ledger = ledger
        self._standings = standings
        self._ends = ends
        self._views = views
        self._tokens = tokens
        self._law = law
        self._sender_of = sender_of
        self._made = made
        self._placement = placement
        self._now_us = now_us
        self._ready: dict[Message, Campaign] = {}

    async def __call__(
        self,
        tenant_id: str,
        belongs: Belongs,
        asked: Asked,
        partition: int,
        address_keys: Sequence[bytes],
        *,
        bulk: bool,
        mint: bool,
        campaign_id: str,
    ) -> Decisions:
        """Raises Invalid where a person does not belong to the partition: its offset would say nothing about them. BusUnavailable,
        where it cannot be kept what was decided."""
        self._check(partition)
        sender = await self._sender_of(tenant_id)
        message = asked.by(sender, belongs)
        people, offset = await self._people(tenant_id, partition, address_keys, bulk)
        standings = [people.get(address_key, NOBODY) for address_key in address_keys]
        now = self._now_us()
        gate = Gate(message, self._law, now, self._ready.get(message))
        if len(self._ready) >= _MESSAGES:
            self._ready.clear()
        self._ready[message] = gate.campaign  # of the latest day
        places: list[int] = []
        tokens: list[bytes | None] = []
        for start in range(0, len(standings), _AT_ONCE):
            some = address_keys[start : start + _AT_ONCE]
            decided = list(map(gate.verdict, some, standings[start : start + _AT_ONCE]))
            places += decided
            tokens += self._mint(tenant_id, belongs.scope, campaign_id, some, [gate.verdicts[place].allow for place in decided], mint)
            await step_aside()
        made = Made(
            tenant_id=tenant_id,
            campaign_id=campaign_id,
            belongs=belongs,
            asked=asked,
            sender=sender,
            decided_at_us=now,
            law_version=gate.law_version,
            inputs=gate.inputs(),
            partition=partition,
            verdicts=gate.verdicts,
            address_keys=address_keys,
            places=places,
            ends=gate.ends,
            events=list(map(events_of, standings)),
        )
        await self._made.publish(made)
        expires = min((now + VALID_US, *filter(None, gate.ends)))
        return Decisions(made.verdicts, places, tokens, offset, self._generation(), now, expires, made.law_version, made.inputs)

    def _mint(
        self, tenant_id: str, scope: Scope, campaign_id: str, address_keys: Sequence[bytes], allowed: Sequence[bool], wanted: bool
    ) -> list[bytes | None]:
        if not wanted:
            return [None] * len(address_keys)
        minted = iter(self._tokens.mint(tenant_id, scope, campaign_id, list(compress(address_keys, allowed))))
        return [next(minted) if yes else None for yes in allowed]

    async def _people(
        self, tenant_id: str, partition: int, address_keys: Sequence[bytes], bulk: bool
    ) -> tuple[Mapping[bytes, Standing], int]:
        """Their standings, and the offset below which every event is in them. No await may follow before they are used."""
        if bulk:
            try:
                view = await self._views.get(tenant_id, partition)
            except TooManyPeople:
                pass
            else:
                # Whoever stands in the partition's view has events there, and so belongs to it.
                self._check_places(tenant_id, partition, address_keys, view.people)
                return view.people, view.offset
        self._check_places(tenant_id, partition, address_keys, {})
        offset = await self._ends.end(partition)
        await self._ledger.fence()
        return await self._standings.of(tenant_id, address_keys), offset

    def _check(self, partition: int) -> None:
        partitions = self._placement().partitions
        if not 0 <= partition < partitions:
            raise Invalid("There is no such partition.", fields=[FieldError("partition", f"is not below {partitions}")])

    def _check_places(self, tenant_id: str, partition: int, address_keys: Sequence[bytes], known: Mapping[bytes, Standing]) -> None:
        place_of = self._placement().partition
        for place, address_key in enumerate(address_keys):
            if address_key not in known and place_of(tenant_id, address_key) != partition:
                raise Invalid(
                    "Ask about the people of one partition.", fields=[FieldError(f"address_keys[{place}]", "is not of this partition")]
                )
