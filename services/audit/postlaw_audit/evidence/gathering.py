"""All that the log has of one person, with a proof of each entry, and the wordings that they read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import grpc.aio

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw.consent.v1 import consent_pb2 as consent
from postlaw.consent.v1.consent_pb2_grpc import ConsentServiceStub
from postlaw_audit.evidence.account import Fact, account_of
from postlaw_audit.evidence.bundle import Signed, bundle
from postlaw_audit.evidence.mail import NotOurs
from postlaw_audit.evidence.shown import ShownMails, facts_of
from postlaw_audit.evidence.wire import answers_to_wire, not_ours_to_wire
from postlaw_audit.evidence.words import Told
from postlaw_audit.reader import LogReader
from postlaw_audit.search.about import About
from postlaw_audit.search.calls import People, customer
from postlaw_audit.search.events import Event
from postlaw_audit.search.searching import Question, Search
from postlaw_audit.signing import Signer
from postlaw_audit.witness_policy import Policy, witnesses_of
from postlaw_common.errors import Invalid, NotFound, Unavailable

MOST = 1_000  # events, the newest: half of them decisions of a thousand people, that is 60 MB of entries
_PIECE = 1 << 18
_NOTICES = "postlaw.consent.ConsentEvent"


@dataclass(frozen=True, slots=True)
class _Gathered:
    """`people`: whom and what the facts are about, as `fact_of` takes it. `address_key` b"": nobody is known by one."""

    told: Told
    people: Sequence[str]
    facts: Sequence[tuple[Event, Fact]]
    note: str
    address_key: bytes


class Evidence:
    """`channel` gives the channel to a service, `policy` whose cosignatures count."""

    def __init__(
        self,
        search: Search,
        reader: LogReader,
        people: People,
        channel: Callable[[str], grpc.aio.Channel],
        signer: Signer,
        policy: Callable[[], Policy],
    ) -> None:
        self._search = search
        self._reader = reader
        self._people = people
        self._channel = channel
        self._signer = signer
        self._policy = policy
        self._shown = ShownMails(search, people)

    async def answers(self, request: audit.GetEvidenceRequest) -> audit.EvidenceAnswers:
        """Raises Invalid, NotFound where the log has nothing of whoever is meant, Unavailable."""
        try:
            found = await self._gathered(request)
        except NotOurs as reason:
            return not_ours_to_wire(str(reason))
        return answers_to_wire(found.told, found.note, found.address_key)

    async def get(self, request: audit.GetEvidenceRequest) -> AsyncGenerator[audit.EvidencePiece]:
        """The bundle, in pieces. Raises Invalid, NotFound where the log has nothing of whoever is meant, and of type `not-ours` for a mail
        that is none of this customer's, Unavailable."""
        try:
            found = await self._gathered(request)
        except NotOurs as reason:
            raise NotFound(f"That mail is not ours: {reason}.", type="not-ours") from reason
        checkpoint, events = found.told.checkpoint, [event for event, _ in found.facts]
        proofs = {index: await self._reader.prove(index, checkpoint) for event in events for index in range(event.first, event.index + 1)}
        signed = Signed(found.note, self._signer.verifier(), self._signer.successions, self._signer.sign_text)
        wordings = await self._wordings(events)
        made = await asyncio.to_thread(bundle, found.told, found.people, found.facts, proofs, wordings, signed)
        for start in range(0, len(made), _PIECE):
            yield audit.EvidencePiece(data=made[start : start + _PIECE], address_key=found.address_key)

    async def _gathered(self, request: audit.GetEvidenceRequest) -> _Gathered:
        """Raises NotOurs for a mail, and what `get` does."""
        tenant_id = customer()
        if request.WhichOneof("who") is None:
            raise Invalid("Say who is meant: by address, by subscriber_id, or by a mail that they got.")
        mail = await self._shown.of(tenant_id, request.mail) if request.HasField("mail") else None
        keys, ids = await self._people.named(mail.address if mail else request.address, request.subscriber_id)
        question = Question(tenant_id, people=tuple(keys), subscribers=tuple(ids))
        found = await self._search(question, MOST)
        question = _with_ids(question, found.events)
        if question.subscribers != tuple(ids):
            found = await self._search(question, MOST)
        if not found.events:
            raise NotFound("The audit log has nothing of this person. What happens is found within seconds.")
        events = {event.index: event for event, _ in found.events} | {event.index: event for event in (mail.key_events if mail else ())}
        people = [*(key.hex() for key in question.people), *question.subscribers, *([mail.domain_id] if mail else [])]
        facts = await asyncio.to_thread(facts_of, [events[index] for index in sorted(events)], people)
        newest, newest_note = await self._reader.checkpoint()
        checkpoint, note = await self._reader.witnessed(max(events)) or (newest, newest_note)
        told = Told(
            tenant_id=tenant_id,
            asked_at=int(time.time()),
            searched_below=found.below,
            complete=not found.more,
            checkpoint=checkpoint,
            witnesses=witnesses_of(note, self._policy()),
            account=account_of(facts),
            mail=mail,
        )
        return _Gathered(told, people, [(events[fact["index"]], fact) for fact in facts], note, keys[0] if keys else b"")

    async def _wordings(self, events: Sequence[Event]) -> Mapping[str, str]:
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
