"""Events that are the same but for their id, their person and the evidence: what they share is made once, not once a person.

Each gives the document and the record that the whole event would give by itself; a test holds the two ways against each other.
"""

from __future__ import annotations

from collections.abc import Callable

from postlaw_common.bus import Record
from postlaw_common.ids import new_id
from postlaw_common.store import Document
from postlaw_consent.domain.event import ConsentEvent, person_of
from postlaw_consent.ledger import Entry, bucket_of, document_of, id_of
from postlaw_consent.outgoing import record_of

Encode = Callable[[str, bytes, bytes], bytes]
"""(event id, address key, sealed proof evidence) → the event's bytes."""


class Alike:
    """`event`: the first version of nobody in particular; `call`: the intent of the bulk."""

    def __init__(self, event: ConsentEvent, encode: Encode, call: str) -> None:
        self._tenant_id = event.tenant_id
        self._version = event.version
        self._encode = encode
        self._document = {**document_of(Entry(event, b"", 0)), "call": call}
        self._record = record_of(event, b"", 0)

    def of(self, address_key: bytes, sealed_proof_evidence: bytes, partition: int) -> tuple[Document, Record]:
        """One person's ledger document and the record that announces it."""
        event_id = new_id("evt")
        data = self._encode(event_id, address_key, sealed_proof_evidence)
        person = person_of(self._tenant_id, address_key)
        document: Document = {
            **self._document,
            "_id": id_of(person, self._version),
            "bucket": bucket_of(self._tenant_id, partition),
            "event_id": event_id,
            "event": data,
        }
        subject = person.encode()
        headers = {**self._record.headers, "ce_id": event_id.encode(), "ce_subject": subject}
        return document, Record(self._record.topic, partition, data, subject, headers)
