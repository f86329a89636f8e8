"""Events that are the same but for their id, their person, their time and the evidence: what they share is made once, not once a person.

Each gives the document and the record that the whole event would give by itself; a test holds the two ways against each other.
"""

from __future__ import annotations

from collections.abc import Callable

from postlaw_common.bus import Record
from postlaw_common.ids import new_id
from postlaw_common.store import Document
from postlaw_consent.domain.event import ConsentEvent, person_of
from postlaw_consent.domain.fact import text_at
from postlaw_consent.ledger import Entry, begin_of, document_of, id_of
from postlaw_consent.outgoing import record_of

Encode = Callable[[str, bytes, bytes, int], bytes]
"""(event id, address key, sealed proof evidence, when it was) → the event's bytes."""


class Alike:
    """`event`: the first version of nobody in particular."""

    def __init__(self, event: ConsentEvent, encode: Encode) -> None:
        self._tenant_id = event.tenant_id
        self._ends_with = id_of("", event.version)
        self._encode = encode
        self._document = document_of(Entry(event, b"", 0))
        self._at_us = event.at_us
        self._record = record_of(event, b"", 0)

    def name_of(self, address_key: bytes, partition: int) -> str:
        """The `_id` of one person's ledger document."""
        return begin_of(self._tenant_id, partition, address_key) + self._ends_with

    def of(self, name: str, address_key: bytes, sealed_proof_evidence: bytes, partition: int, at_us: int) -> tuple[Document, Record]:
        """One person's ledger document, called `name`, and the record that announces it. `at_us` 0: as all."""
        event_id = new_id("evt")
        data = self._encode(event_id, address_key, sealed_proof_evidence, at_us or self._at_us)
        document: Document = {**self._document, "_id": name, "event": data}
        if at_us:
            document["fact"] = text_at(document["fact"], at_us)
        subject = person_of(self._tenant_id, address_key).encode()
        headers = {**self._record.headers, "ce_id": event_id.encode(), "ce_subject": subject}
        return document, Record(self._record.topic, partition, data, subject, headers)
