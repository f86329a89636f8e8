"""People whom a list of another provider names are stopped in everything, thousands at a time; so are those whom whoever runs the
installation has stopped everywhere, and who come to a customer now.

It does not wait for what is under way, as a person's own withdrawal does: the answer is *recorded*. The events go to the bus, where
sending's second gate closes by them, with an intent beforehand, so that a crash loses none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from postlaw_common.bus import BusUnavailable
from postlaw_common.errors import Unavailable
from postlaw_common.foreground import step_aside
from postlaw_common.ids import new_id
from postlaw_common.telemetry import get_logger
from postlaw_consent.afterwards import Afterwards
from postlaw_consent.domain.event import Actor, ConsentEvent
from postlaw_consent.domain.fold import fold
from postlaw_consent.domain.scope import EVERYTHING, Scope
from postlaw_consent.intents import Intents
from postlaw_consent.ledger import Entry, Ledger, Line, document_of
from postlaw_consent.outgoing import Outgoing

_LOST_RACES = 20
_AT_ONCE = 100  # people judged before others get their turn on the event loop: some milliseconds

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Suppression:
    """What is the same for all. `source` says whose list it is; by `idempotency_key`, never empty, a repetition knows its own events.
    `scope`: everything of the customer, or of the platform."""

    tenant_id: str
    actor: Actor
    on_behalf_of: Actor | None
    source: str
    sealed_attestation: bytes
    idempotency_key: str
    scope: Scope = EVERYTHING


class SuppressMany:
    def __init__(self, ledger: Ledger, intents: Intents, outgoing: Outgoing, afterwards: Afterwards, now_us: Callable[[], int]) -> None:
        self._ledger = ledger
        self._intents = intents
        self._outgoing = outgoing
        self._afterwards = afterwards
        self._now_us = now_us

    async def __call__(self, suppression: Suppression, address_keys: Sequence[bytes]) -> set[bytes]:
        """Those who were stopped in the same scope before, by another act. Raises Unavailable, StoreUnavailable; asking again is safe."""
        already: set[bytes] = set()
        waiting = list(address_keys)
        histories: Mapping[bytes, list[Line]] = {}  # in the first round, which guesses that all are new
        for _ in range(_LOST_RACES):
            entries: list[Entry] = []
            for place, address_key in enumerate(waiting):
                history = histories.get(address_key, [])
                if _did(history, suppression):
                    continue
                if fold(line.fact for line in history).standing_withdrawal(suppression.scope) is not None:
                    already.add(address_key)
                else:
                    entries.append(self._entry(suppression, address_key, len(history) + 1))
                if place % _AT_ONCE == 0:
                    await step_aside()
            if not entries:
                return already
            taken = await self._append(entries)
            waiting = [entry.event.address_key for entry in entries if entry.event.address_key in taken]
            if not waiting:
                return already
            histories = await self._ledger.histories(suppression.tenant_id, waiting)
        raise Unavailable("Some of these people's entries change too fast right now. Ask again, with the same key.", retry_after_s=1)

    async def _append(self, entries: Sequence[Entry]) -> set[bytes]:
        """Publishes what the ledger took; those whose version was taken by another event."""
        documents = [document_of(entry) for entry in entries]
        async with self._intents.begun([document["_id"] for document in documents], entries[0].event.recorded_at_us) as call:
            taken = await self._ledger.append_documents(documents, call)
            mine = [entry for entry, document in zip(entries, documents, strict=True) if document["_id"] not in taken]
            try:
                if mine:
                    await self._outgoing.publish(mine)
            except BusUnavailable:
                _log.warning("opt-outs recorded but not yet published; the relay will", events=len(mine))
            else:
                self._afterwards.begin(self._intents.end(call), what="ending an intent")
        return {entry.event.address_key for entry, document in zip(entries, documents, strict=True) if document["_id"] in taken}

    def _entry(self, suppression: Suppression, address_key: bytes, version: int) -> Entry:
        now = self._now_us()
        return self._ledger.entry(
            ConsentEvent(
                event_id=new_id("evt"),
                tenant_id=suppression.tenant_id,
                address_key=address_key,
                version=version,
                kind="withdrawn",
                scope=suppression.scope,
                route="import",
                at_us=now,
                recorded_at_us=now,
                actor=suppression.actor,
                on_behalf_of=suppression.on_behalf_of,
                source=suppression.source,
                sealed_attestation=suppression.sealed_attestation,
                idempotency_key=suppression.idempotency_key,
            )
        )


def _did(history: Sequence[Line], suppression: Suppression) -> bool:
    """An earlier try of the same call stopped them."""
    return any(
        line.fact.route == "import" and line.fact.kind == "withdrawn" and line.event().idempotency_key == suppression.idempotency_key
        for line in history
    )
