"""What the next server refused for good in our own dialogue, so that no mail need come back to say so."""

from __future__ import annotations

from collections.abc import Iterable

from postlaw_sending.campaigns.domain.recipients import Settled, State
from postlaw_sending.messages.return_path import PERSON, SentMessage
from postlaw_sending.returns.causes import class_of, status_in
from postlaw_sending.returns.notices import Notice
from postlaw_sending.returns.received import Received


class Refusals:
    def __init__(self, received: Received) -> None:
        self._received = received

    async def take(self, batches: Iterable[Settled]) -> None:
        """Durable when it returns; a repeat changes nothing. Raises StoreUnavailable, KeysUnavailable."""
        notices = [notice for settled in batches for notice in refused_in(settled)]
        if notices:
            await self._received.take_notices(notices)


def refused_in(settled: Settled) -> list[Notice]:
    """A notice a recipient that a server refused for good (RFC 5321 §4.2.1: 5yz)."""
    if settled.states.find(State.BOUNCED) < 0:
        return []
    place = f"{settled.partition}/{settled.batch}"
    return [
        _notice(settled.campaign_id, f"{place}/{index}", key, reason)
        for index, (state, key, reason) in enumerate(zip(settled.states, settled.address_keys, settled.reasons, strict=True))
        if state == State.BOUNCED
    ]


def _notice(campaign_id: str, id: str, address_key: bytes, reason: str) -> Notice:
    """Without the reply's code: a bare 550 may refuse sender or words as well, which a report of a bounce would tell apart."""
    text = reason.partition(" ")[2]
    status = status_in(text)
    return Notice("smtp", id, SentMessage(campaign_id, address_key[:PERSON]), "", "dsn", class_of(status, text), status or "")
