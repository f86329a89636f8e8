"""The first gate, in bulk: may this message go to these people? The end of the log is read before any fact (design §3, rule 6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from postlaw_common.errors import FieldError, Invalid
from postlaw_common.placement import Placement
from postlaw_consent.domain.scope import Scope
from postlaw_consent.domain.standing import LAW_VERSION, NOBODY, Decision, Standing, decide, fold
from postlaw_consent.ends import Ends
from postlaw_consent.ledger import Ledger
from postlaw_consent.tokens import Tokens
from postlaw_consent.views import TooManyPeople, Views

VALID_US = 7 * 24 * 3600 * 1_000_000


@dataclass(frozen=True, slots=True)
class Decisions:
    """In the order asked. `tokens`: one for each that is allowed, None where none was asked for or the answer is no."""

    decisions: list[Decision]
    tokens: list[bytes | None]
    consent_offset: int
    generation: str  # of the topics, to which the offset belongs
    expires_at_us: int
    law_version: str = LAW_VERSION


class GetDecisions:
    def __init__(
        self,
        ledger: Ledger,
        ends: Ends,
        views: Views,
        tokens: Tokens,
        placement: Callable[[], Placement],
        generation: Callable[[], str],
        now_us: Callable[[], int],
    ) -> None:
        self._generation = generation
        self._ledger = ledger
        self._ends = ends
        self._views = views
        self._tokens = tokens
        self._placement = placement
        self._now_us = now_us

    async def __call__(
        self, tenant_id: str, scope: Scope, partition: int, address_keys: Sequence[bytes], *, bulk: bool, mint: bool, campaign_id: str
    ) -> Decisions:
        """Raises Invalid where a person does not belong to the partition: its offset would say nothing about them."""
        self._check(partition)
        expires = self._now_us() + VALID_US
        people, offset = await self._people(tenant_id, partition, address_keys, bulk)
        decisions = [decide(people.get(address_key, NOBODY), scope) for address_key in address_keys]
        tokens: list[bytes | None] = [None] * len(decisions)
        if mint:
            allowed = [place for place, decision in enumerate(decisions) if decision.allow]
            minted = self._tokens.mint(tenant_id, scope, campaign_id, [address_keys[place] for place in allowed])
            for place, token in zip(allowed, minted, strict=True):
                tokens[place] = token
        return Decisions(decisions, tokens, offset, self._generation(), expires)

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
        histories = await self._ledger.histories(tenant_id, address_keys)
        people = {address_key: fold(line.fact for line in history) for address_key, history in histories.items()}
        return people, offset

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
