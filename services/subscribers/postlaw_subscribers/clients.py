"""Calls to consent."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from typing import Any

import grpc.aio

from postlaw.consent.v1 import consent_pb2, consent_pb2_grpc
from postlaw_subscribers.domain.import_job import ImportJob
from postlaw_subscribers.rooms import ConsentLedger

SCOPES = ("consents:write",)


class NoConsent:
    """The customer attests nothing: the rows are taken, and nobody of them may be mailed."""

    async def record(self, list_id: str, address_keys: Collection[bytes], sealed_attestation: bytes) -> None:
        return


class AttestedConsent:
    """What one import's customer attests, recorded for each person in consent's ledger.

    The idempotency key is made of the attestation, not of the import: the same attestation, uploaded again with the same file, gives
    nobody consent a second time, and so cannot undo what a person withdrew in between."""

    def __init__(self, stub: Any, job: ImportJob) -> None:
        attested = job.settings.consent
        if attested is None:
            raise ValueError("an import without an attestation records no consent")
        self._stub = stub
        collected_us = attested.collected_us or job.created_us
        self._given_us = min(collected_us, job.created_us)
        self._source = attested.source
        self._wording = attested.wording
        told = [job.settings.list_id, attested.source, attested.wording, attested.attested_by, attested.collected_us]
        self._key = "import/" + hashlib.sha256(json.dumps(told, ensure_ascii=False).encode()).hexdigest()[:40]

    async def record(self, list_id: str, address_keys: Collection[bytes], sealed_attestation: bytes) -> None:
        shared = consent_pb2.ConsentRecord(
            scope=consent_pb2.Scope(list_id=list_id),
            route=consent_pb2.ROUTE_IMPORT,
            source=self._source,
            wording=self._wording,
            idempotency_key=self._key,
            sealed_attestation=sealed_attestation,
        )
        shared.given_at.FromMicroseconds(self._given_us)
        await self._stub.RecordConsentOfMany(consent_pb2.RecordConsentOfManyRequest(consent=shared, address_keys=address_keys))


def attestation_of(job: ImportJob) -> bytes:
    """Who attested what, and when; nothing of any one person. The wording is not in it: the event names it by its hash, and consent
    keeps it once, as a notice."""
    attested = job.settings.consent
    if attested is None:
        return b""
    told = {
        "import_id": job.import_id,
        "list_id": job.settings.list_id,
        "source": attested.source,
        "attested_by": attested.attested_by,
        "collected_us": attested.collected_us,
    }
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def ledger_for(channel: grpc.aio.Channel, job: ImportJob) -> tuple[ConsentLedger, bytes]:
    """(where the consent of this import's rows goes, what the customer attests of them all)"""
    if job.settings.consent is None:
        return NoConsent(), b""
    return AttestedConsent(consent_pb2_grpc.ConsentServiceStub(channel), job), attestation_of(job)
