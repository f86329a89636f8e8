"""Consents given: in bulk, idempotent by key within a person, an import of thousands as quick as the ledger's log allows.

Most people of an import are new, so the first round inserts everyone's version 1 without looking; who exists already is read
and appended to, until all are in. Several events of one person go in one append, one behind the other.

Longer than most: one by one and in bulk are two ways into the same rounds, and taken apart each would repeat the other's order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from itertools import repeat

from postlaw_common.bus import BusUnavailable, Record
from postlaw_common.errors import Conflict, FieldError, Invalid, Unavailable
from postlaw_common.foreground import step_aside
from postlaw_common.ids import new_id
from postlaw_common.store import Document
from postlaw_common.telemetry import get_logger
from postlaw_consent import alike
from postlaw_consent.afterwards import Afterwards
from postlaw_consent.alike import Alike
from postlaw_consent.domain.event import CLOSING, Actor, ConsentEvent, Kind, Route
from postlaw_consent.domain.fold import FRESH_ROUTES
from postlaw_consent.domain.notice import Use
from postlaw_consent.domain.particulars import NONE_STATED, Particulars
from postlaw_consent.domain.scope import PLATFORM, Scope
from postlaw_consent.expiries import Expiries
from postlaw_consent.intents import Intents
from postlaw_consent.ledger import Entry, Ledger, document_of
from postlaw_consent.notices import Notices
from postlaw_consent.outgoing import Outgoing, record_of
from postlaw_consent.referring import referring
from postlaw_consent.use_cases.notices import Naming, Remark, name_notices

_LOST_RACES = 20
_CLOCK_SKEW_US = 5 * 60 * 1_000_000
_AT_ONCE = 200  # people named before others get their turn on the event loop: about a millisecond

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Consent:
    """One act as it is to be recorded; `kind` is none of CLOSING, which stop mail and so go through the stop. `given_at_us` None: now.
    `wording`: what the person read, its hash in the event."""

    address_key: bytes
    scope: Scope
    route: Route
    given_at_us: int | None = None
    source: str = ""
    wording: str = ""
    notice_hash: bytes = b""
    sealed_profile_evidence: bytes = b""
    sealed_proof_evidence: bytes = b""
    sealed_attestation: bytes = b""
    idempotency_key: str = ""
    kind: Kind = "given"
    particulars: Particulars = NONE_STATED


@dataclass(frozen=True, slots=True)
class Recorded:
    """`event_ids` in the order asked, an earlier event's where one was there already; none of many
    at once. `remarks`: what does not fit."""

    event_ids: list[str]
    recorded: int
    already_recorded: int
    remarks: list[Remark] = field(default_factory=list[Remark])


@dataclass(slots=True)
class _Head:
    """The end of a person's history: last version, latest time, the events by version, and by idempotency key what it was used for."""

    version: int = 0
    at_us: int = 0
    events: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    keys: dict[str, tuple[str, Kind, str]] = field(default_factory=dict[str, tuple[str, Kind, str]])

    def add(self, event: ConsentEvent) -> None:
        self.version = max(self.version, event.version)
        self.at_us = max(self.at_us, event.at_us)
        self.events.append((event.version, event.event_id))
        if event.idempotency_key:
            self.keys.setdefault(event.idempotency_key, (event.event_id, event.kind, event.scope.key))


class RecordConsents:
    def __init__(
        self,
        ledger: Ledger,
        intents: Intents,
        notices: Notices,
        expiries: Expiries,
        outgoing: Outgoing,
        encode_alike: Callable[[ConsentEvent], alike.Encode],
        afterwards: Afterwards,
        now_us: Callable[[], int],
    ) -> None:
        self._ledger = ledger
        self._intents = intents
        self._notices = notices
        self._expiries = expiries
        self._outgoing = outgoing
        self._encode_alike = encode_alike
        self._afterwards = afterwards
        self._now_us = now_us

    async def __call__(self, tenant_id: str, actor: Actor, on_behalf_of: Actor | None, consents: Sequence[Consent]) -> Recorded:
        """Raises Invalid, Conflict for an idempotency key used for something else, StoreUnavailable; after each of the latter two
        asking again with the same keys is safe."""
        self._check(consents)
        named = [(f"consents[{place}].notice_hash", consent) for place, consent in enumerate(consents)]
        remarks = await self._name_notices(tenant_id, named)
        return replace(await self._record(tenant_id, actor, on_behalf_of, consents, _only_ones(consents)), remarks=remarks)

    async def of_many(
        self,
        tenant_id: str,
        actor: Actor,
        on_behalf_of: Actor | None,
        consent: Consent,
        evidence: Mapping[bytes, bytes],
        variants: Sequence[Particulars] = (),
        variant_of: Sequence[int] = (),
        given_at_us: Sequence[int] = (),
    ) -> Recorded:
        """The same consent of many people. `evidence`: by address key, sealed for the proof key; empty
        where there is none beside the attestation that they share. `variant_of`: of each, 0 for the consent's own particulars, else the
        place of theirs in `variants`, plus one; empty where all share them. `given_at_us`: of each, 0 for the consent's own; or empty.

        Raises as the call itself does, and asking again is safe in the same way."""
        kinds = [consent, *(replace(consent, particulars=particulars) for particulars in variants)]
        self._check(kinds)
        now = self._now_us()
        if any(at_us < 0 or at_us > now + _CLOCK_SKEW_US for at_us in given_at_us):
            raise Invalid(
                "A consent cannot have been given in the future.", fields=[FieldError("given_at_us", "holds no time of the past")]
            )
        shared = [("consent.notice_hash", consent)] if not given_at_us or 0 in given_at_us else []
        own = [at_us for at_us in given_at_us if at_us]
        # A notice is shown from one day to another: where the first and the last act fit, all do, and nobody is looked at.
        ends = [("", replace(consent, given_at_us=at_us)) for at_us in (min(own), max(own))] if own else []
        remarks = await self._name_notices(tenant_id, [*shared, *ends])
        if any(not field for field, _ in remarks):
            each = [(f"given_at_us[{n}]", replace(consent, given_at_us=at_us)) for n, at_us in enumerate(given_at_us) if at_us]
            remarks = await self._name_notices(tenant_id, [*shared, *each])
        events = [self._event(tenant_id, actor, on_behalf_of, one, None, now) for one in kinds]
        made = [Alike(event, self._encode_alike(event)) for event in events]
        people: list[tuple[str, int, bytes, bytes, int, int]] = []
        of_each = zip(evidence.items(), variant_of or repeat(0), given_at_us or repeat(0), strict=False)
        for (address_key, sealed), variant, at_us in of_each:
            partition = self._ledger.partition_of(tenant_id, address_key)
            people.append((made[0].name_of(address_key, partition), partition, address_key, sealed, variant, min(at_us, now)))
            if len(people) % _AT_ONCE == 0:
                await step_aside()
        records: list[Record] = []

        def documents() -> Iterator[Document]:
            for name, partition, address_key, sealed, variant, at_us in people:
                document, record = made[variant].of(name, address_key, sealed, partition, at_us)
                records.append(record)
                yield document

        if consent.kind == "implied":
            await self._expiries.note([name for name, *_ in people], now)
        known: list[Consent] = []
        async with self._intents.begun([name for name, *_ in people], now) as call:
            taken = await self._ledger.append_documents(documents(), call)
            if taken:
                records = [record for (name, *_), record in zip(people, records, strict=True) if name not in taken]
                known = [
                    replace(
                        kinds[variant],
                        address_key=address_key,
                        sealed_proof_evidence=sealed,
                        given_at_us=at_us or consent.given_at_us,
                    )
                    for name, _, address_key, sealed, variant, at_us in people
                    if name in taken
                ]
            await self._publish(records, [call])
        if not known:
            return Recorded([], len(records), 0, remarks)
        appended = await self._record(tenant_id, actor, on_behalf_of, known, [])
        return Recorded([], len(records) + appended.recorded, appended.already_recorded, remarks)

    async def _record(
        self, tenant_id: str, actor: Actor, on_behalf_of: Actor | None, consents: Sequence[Consent], guessed: list[int]
    ) -> Recorded:
        """`guessed`: the places of those of whom the first round guesses that they are new."""
        async with AsyncExitStack() as hand:
            return await self._in_rounds(tenant_id, actor, on_behalf_of, consents, guessed, hand)

    async def _in_rounds(
        self,
        tenant_id: str,
        actor: Actor,
        on_behalf_of: Actor | None,
        consents: Sequence[Consent],
        guessed: list[int],
        hand: AsyncExitStack,
    ) -> Recorded:
        """`hand`: holds the intents until all is published."""
        ids = [""] * len(consents)
        already = 0
        entries: list[Entry] = []
        calls: list[str] = []
        conflicts: list[FieldError] = []
        heads: dict[bytes, _Head] = {}
        waiting = list(range(len(consents)))
        turn, in_order = guessed, False
        losses = -1  # the first round's collisions are no lost races: it only guessed
        while waiting:
            if losses > _LOST_RACES:
                raise Unavailable(
                    "Some of these people's entries change too fast right now. Ask again, with the same keys.", retry_after_s=1
                )
            batch: list[Entry] = []
            places: list[int] = []
            done: set[int] = set()
            under_way: set[tuple[bytes, str]] = set()  # keys used in this round: whether they are in, the next one knows
            now = self._now_us()
            for place in turn:
                consent = consents[place]
                head = heads.get(consent.address_key)  # None only in the first round, which guesses that they are new
                key = (consent.address_key, consent.idempotency_key)
                if key in under_way:
                    continue
                use = head.keys.get(consent.idempotency_key) if head and consent.idempotency_key else None
                if use is None:
                    entry = self._entry(tenant_id, actor, on_behalf_of, consent, head, now)
                    batch.append(entry)
                    places.append(place)
                    if consent.idempotency_key:
                        under_way.add(key)
                    if head is not None:
                        head.add(entry.event)
                    continue
                done.add(place)
                ids[place], kind, scope = use
                already += 1
                if kind != consent.kind or scope != consent.scope.key:
                    conflicts.append(FieldError(f"consents[{place}].idempotency_key", "was used for something else of this person"))
            if batch:
                documents = [document_of(entry) for entry in batch]
                names = [document["_id"] for document in documents]
                implied = [name for name, entry in zip(names, batch, strict=True) if entry.event.kind == "implied"]
                if implied:
                    await self._expiries.note(implied, now)
                call = await hand.enter_async_context(self._intents.begun(names, batch[0].event.recorded_at_us))
                calls.append(call)
                append = self._ledger.append_in_order if in_order else self._ledger.append_documents
                taken = await append(documents, call)
                losses += bool(taken)
                for place, name, entry in zip(places, names, batch, strict=True):
                    event = entry.event
                    if name in taken:
                        heads.pop(event.address_key, None)
                        continue
                    ids[place] = event.event_id
                    entries.append(entry)
                    done.add(place)
            waiting = [place for place in waiting if place not in done]
            turn, in_order = _next_turn(consents, waiting)
            await self._read_heads(tenant_id, {consents[place].address_key for place in turn} - heads.keys(), heads)
        await self._publish([record_of(entry.event, entry.data, entry.partition) for entry in entries], calls)
        if conflicts:
            raise Conflict("An idempotency key was used for something else.", type="idempotency-key-reused", fields=conflicts)
        return Recorded(ids, len(entries), already)

    def _check(self, consents: Sequence[Consent]) -> None:
        latest = self._now_us() + _CLOCK_SKEW_US
        wrong = [
            FieldError(f"consents[{place}].given_at", "lies in the future")
            for place, consent in enumerate(consents)
            if consent.given_at_us is not None and consent.given_at_us > latest
        ]
        if wrong:
            raise Invalid("A consent cannot have been given in the future.", fields=wrong)
        wrong = [
            FieldError(f"consents[{place}].{field}", message)
            for place, consent in enumerate(consents)
            for field, message in _problems(consent)
        ]
        if wrong:
            raise Invalid("Some of what is said of a consent cannot be taken.", fields=wrong)

    async def _name_notices(self, tenant_id: str, consents: Iterable[tuple[str, Consent]]) -> list[Remark]:
        """`consents`: each with the field of the request that names its notice."""
        now = self._now_us()
        namings = [
            Naming(
                field,
                consent.notice_hash,
                Use(now if consent.given_at_us is None else consent.given_at_us, consent.wording, consent.particulars.language),
            )
            for field, consent in consents
            if consent.notice_hash
        ]
        return await name_notices(self._notices, tenant_id, namings)

    def _entry(self, tenant_id: str, actor: Actor, on_behalf_of: Actor | None, consent: Consent, head: _Head | None, now: int) -> Entry:
        return self._ledger.entry(self._event(tenant_id, actor, on_behalf_of, consent, head, now))

    def _event(
        self, tenant_id: str, actor: Actor, on_behalf_of: Actor | None, consent: Consent, head: _Head | None, now: int
    ) -> ConsentEvent:
        if consent.given_at_us is not None:
            at = min(consent.given_at_us, now)
        else:  # an act of this moment comes after all that is on record, whatever the clocks of two instances say
            at = max(now, head.at_us + 1) if head and consent.route in FRESH_ROUTES else now
        return ConsentEvent(
            event_id=new_id("evt"),
            tenant_id=tenant_id,
            address_key=consent.address_key,
            version=head.version + 1 if head else 1,
            kind=consent.kind,
            scope=consent.scope,
            route=consent.route,
            at_us=at,
            recorded_at_us=now,
            actor=actor,
            on_behalf_of=on_behalf_of,
            source=consent.source,
            notice_hash=consent.notice_hash,
            sealed_profile_evidence=consent.sealed_profile_evidence,
            sealed_proof_evidence=consent.sealed_proof_evidence,
            sealed_attestation=consent.sealed_attestation,
            idempotency_key=consent.idempotency_key,
            particulars=referring(consent.particulars, head.events if head else ()),
        )

    async def _read_heads(self, tenant_id: str, address_keys: set[bytes], heads: dict[bytes, _Head]) -> None:
        for address_key, history in (await self._ledger.histories(tenant_id, address_keys)).items():
            head = heads[address_key] = _Head()
            for line in history:
                head.add(line.event())

    async def _publish(self, records: Sequence[Record], calls: Sequence[str]) -> None:
        try:
            if records:
                await self._outgoing.publish_records(records)
        except BusUnavailable:
            _log.warning("consents recorded but not yet published; the relay will", events=len(records))
            return
        for call in calls:
            self._afterwards.begin(self._intents.end(call), what="ending an intent")


def _problems(consent: Consent) -> Iterator[tuple[str, str]]:
    if (consent.kind == "lifted") != (consent.scope == PLATFORM):
        yield "kind", "is for whoever runs the installation to say, of all its customers"
    if consent.kind in CLOSING:
        yield "kind", f"{consent.kind} stops mail: withdraw it, so that the answer can say that the mail has stopped"
    elif consent.kind == "expired":
        yield "kind", "is for our own clock to say"
    for name, message in consent.particulars.problems(consent.kind):
        yield f"particulars.{name}", message


def _only_ones(consents: Sequence[Consent]) -> list[int]:
    """The places of those who occur once: for them a guess at version 1 cannot break the order or the keys of their own others.
    Who refers to an earlier event is not new."""
    count = Counter(consent.address_key for consent in consents)
    return [place for place, consent in enumerate(consents) if count[consent.address_key] == 1 and not consent.particulars.refers_to]


def _next_turn(consents: Sequence[Consent], places: Sequence[int]) -> tuple[list[int], bool]:
    """Those of people of whom one event is left, which need no order among them; then all the rest, in order."""
    count = Counter(consents[place].address_key for place in places)
    alone = [place for place in places if count[consents[place].address_key] == 1]
    return (alone, False) if alone else (list(places), True)
