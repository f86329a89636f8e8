"""All that the log has of one person, with a proof of each entry, and the wordings that they read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace
from typing import Any

import grpc.aio

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw.consent.v1 import consent_pb2 as consent
from postlaw.consent.v1.consent_pb2_grpc import ConsentServiceStub
from postlaw_audit.evidence.bundle import Sign, bundle
from postlaw_audit.reader import LogReader
from postlaw_audit.search.about import About
from postlaw_audit.search.calls import People, customer
from postlaw_audit.search.events import Event
from postlaw_audit.search.searching import Question, Search
from postlaw_common.errors import Invalid, NotFound, Unavailable

MOST = 1_000  # events, the newest: half of them decisions of a thousand people, that is 60 MB of entries
_PIECE = 1 << 18
_NOTICES = "postlaw.consent.ConsentEvent"


class Evidence:
    """`sign` and `key`: the log's own, of a text and as others verify it. `channel` gives the channel to a service."""

    def __init__(
        self,
        search: Search,
        reader: LogReader,
        people: People,
        channel: Callable[[str], grpc.aio.Channel],
        sign: Sign,
        key: Callable[[], str],
    ) -> None:
        self._search = search
        self._reader = reader
        self._people = people
        self._channel = channel
        self._sign = sign
        self._key = key

    async def get(self, request: audit.GetEvidenceRequest) -> AsyncGenerator[audit.EvidencePiece]:
        """The bundle, in pieces. Raises Invalid, NotFound where the log has nothing of whoever is meant, Unavailable."""
        tenant_id = customer()
        if request.WhichOneof("who") is None:
            raise Invalid("Say who is meant: by address or by subscriber_id.")
        keys, ids = await self._people.named(request.address, request.subscriber_id)
        question = Question(tenant_id, people=tuple(keys), subscribers=tuple(ids))
        found = await self._search(question, MOST)
        question = _with_ids(question, found.events)
        if question.subscribers != tuple(ids):
            found = await self._search(question, MOST)
        if not found.events:
            raise NotFound("The audit log has nothing of this person. What happens is found within seconds.")
        events = [event for event, _ in reversed(found.events)]
        checkpoint, note = await self._reader.checkpoint()
        proofs = {index: await self._reader.prove(index, checkpoint) for event in events for index in range(event.first, event.index + 1)}
        about = {"tenant_id": tenant_id, "asked_at": int(time.time()), "searched_below": found.below, "complete": not found.more}
        people = [*(key.hex() for key in question.people), *question.subscribers]
        wordings = await self._wordings(events)
        made = await asyncio.to_thread(bundle, about, people, events, proofs, wordings, note, self._key(), self._sign)
        for start in range(0, len(made), _PIECE):
            yield audit.EvidencePiece(data=made[start : start + _PIECE], address_key=keys[0] if keys else b"")

    async def _wordings(self, events: list[Event]) -> dict[str, str]:
        """Of the notices that are known; a consent may name one that nobody has registered."""
        stub: Any = ConsentServiceStub(self._channel("consent"))
        hashes = {consent.ConsentEvent.FromString(event.data).notice_hash for event in events if event.entry.type == _NOTICES}
        wordings: dict[str, str] = {}
        for digest in sorted(hashes - {b""}):
            try:
                wordings[digest.hex()] = (await stub.GetNotice(consent.GetNoticeRequest(notice_hash=digest))).wording
            except (NotFound, Unavailable):
                continue
        return wordings


def _with_ids(question: Question, events: Sequence[tuple[Event, About]]) -> Question:
    """And by the ids that batches have beside their address keys: whoever was erased has none any more at subscribers."""
    ids = dict.fromkeys(question.subscribers)
    for _, about in events:
        if len(about.people) == len(about.subscribers):
            ids |= {id: None for key, id in zip(about.people, about.subscribers, strict=True) if key in question.people}
    return replace(question, subscribers=tuple(ids))
