"""Calls to consent."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import astuple
from typing import Any

import grpc.aio

from postlaw.consent.v1 import consent_pb2, consent_pb2_grpc
from postlaw_common.caller import Actor, Caller
from postlaw_common.errors import NotFound
from postlaw_common.service_context import ServiceContexts
from postlaw_subscribers.domain.import_job import ImportJob
from postlaw_subscribers.domain.row_evidence import Grade, Variant
from postlaw_subscribers.jobs import Jobs
from postlaw_subscribers.person_keys import PersonKeys
from postlaw_subscribers.rooms import ConsentLedger, Consents, SuppressionLedger

SCOPES = ("consents:write",)
_EVERYWHERE = "suppressed everywhere"

_Event = consent_pb2.ConsentEvent
_GRADES: dict[Grade, consent_pb2.EvidenceGrade.ValueType] = {
    "none": consent_pb2.EVIDENCE_GRADE_NONE,
    "attested": consent_pb2.EVIDENCE_GRADE_ATTESTED,
    "captured": consent_pb2.EVIDENCE_GRADE_CAPTURED,
}


class NoConsent:
    """The customer attests nothing: the rows are taken, and nobody of them may be mailed."""

    async def record(self, list_id: str, consents: Consents, sealed_attestation: bytes) -> int:
        return 0


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
        self._attested = attested
        self._held = [consent_pb2.Evidence.Value(f"EVIDENCE_{name.upper()}") for name in attested.held]
        told = [job.settings.list_id, *astuple(attested)]
        self._key = "import/" + hashlib.sha256(json.dumps(told, ensure_ascii=False).encode()).hexdigest()[:40]

    async def record(self, list_id: str, consents: Consents, sealed_attestation: bytes) -> int:
        attested = self._attested
        shared = consent_pb2.ConsentRecord(
            scope=consent_pb2.Scope(list_id=list_id),
            route=consent_pb2.ROUTE_IMPORT,
            source=attested.source,
            wording=attested.wording,
            idempotency_key=self._key,
            sealed_attestation=sealed_attestation,
            kind=_Event.KIND_IMPLIED if attested.relationship else _Event.KIND_GIVEN,
            particulars=self._particulars(Variant(attested.territories, "attested")),
        )
        shared.given_at.FromMicroseconds(self._given_us)
        answer = await self._stub.RecordConsentOfMany(
            consent_pb2.RecordConsentOfManyRequest(
                consent=shared,
                address_keys=consents.address_keys,
                sealed_proof_evidence=consents.evidence,
                variants=map(self._particulars, consents.variants[1:]),  # the first is what all share
                variant_of=consents.variant_of,
                given_at_us=consents.given_at_us,
            )
        )
        without = consents.given_at_us.count(0) if consents.given_at_us else len(consents.address_keys)
        return sum(without if remark.field == "consent.notice_hash" else 1 for remark in answer.remarks)

    def _particulars(self, variant: Variant) -> consent_pb2.Particulars:
        attested = self._attested
        return consent_pb2.Particulars(
            relationship=attested.relationship,
            held=() if variant.grade == "none" else self._held,  # where nothing shows it, nothing was kept
            territories=variant.territories,
            grade=_GRADES[variant.grade],
            language=attested.language,
            method=attested.method,
        )


class ListedElsewhere:
    """The people of another provider's suppression list, stopped in everything.

    The idempotency key is the import's: what it did it knows again, and who has come back since an earlier import of the same list is
    stopped once more."""

    def __init__(self, stub: Any, job: ImportJob) -> None:
        self._stub = stub
        self._source = job.settings.suppress_source
        self._key = f"suppress/{job.import_id}"

    async def suppress(self, address_keys: Sequence[bytes], sealed_attestation: bytes) -> set[bytes]:
        answer = await self._stub.SuppressMany(
            consent_pb2.SuppressManyRequest(
                address_keys=address_keys, source=self._source, sealed_attestation=sealed_attestation, idempotency_key=self._key
            )
        )
        return {address_keys[place] for place in answer.already_suppressed}


def attestation_of(job: ImportJob) -> bytes:
    """Who attested what, and when; nothing of any one person. The wording is not in it: the event names it by its hash, and consent
    keeps it once, as a notice."""
    attested = job.settings.consent
    if attested is None:
        told = {"import_id": job.import_id, "source": job.settings.suppress_source}
        return _told(told) if job.settings.suppress_source else b""
    told = {
        "import_id": job.import_id,
        "list_id": job.settings.list_id,
        "source": attested.source,
        "attested_by": attested.attested_by,
        "collected_us": attested.collected_us,
    }
    return _told(told)


def _told(told: dict[str, Any]) -> bytes:
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def suppressions_for(channel: grpc.aio.Channel, job: ImportJob) -> SuppressionLedger:
    """Where the rows of a suppression list go."""
    return ListedElsewhere(consent_pb2_grpc.ConsentServiceStub(channel), job)


class StoppedAsListed:
    """Stops people as the import of a suppression list does, in its name, however long after it."""

    def __init__(
        self,
        jobs: Jobs,
        person_keys: PersonKeys,
        acting: Callable[[ImportJob], AbstractAsyncContextManager[Caller]],
        suppressions: Callable[[ImportJob], SuppressionLedger],
    ) -> None:
        self._jobs = jobs
        self._person_keys = person_keys
        self._acting = acting
        self._suppressions = suppressions

    async def __call__(self, tenant_id: str, import_id: str, address_keys: Sequence[bytes]) -> None:
        opened = await self._jobs.get(tenant_id, import_id)
        if opened is None:
            raise NotFound(f"There is no import {import_id}.")
        sealed = (await self._person_keys.wrapping(tenant_id)).seal_attestation(attestation_of(opened.job))
        async with self._acting(opened.job):
            await self._suppressions(opened.job).suppress(address_keys, sealed)


class StoppedEverywhere:
    """Stops people in the name of whoever runs the installation, at one customer."""

    def __init__(self, stub: Any, contexts: ServiceContexts) -> None:
        self._stub = stub
        self._contexts = contexts

    async def stop(self, tenant_id: str, address_key: bytes, reason: str, by: Actor) -> bool:
        async with self._contexts.acting(tenant_id, by, SCOPES, _EVERYWHERE):
            answer = await self._stub.StopForPlatform(consent_pb2.PlatformStopRequest(address_key=address_key, source=reason))
        return answer.outcome == consent_pb2.OUTCOME_STOPPED

    async def lift(self, tenant_id: str, address_key: bytes, reason: str, by: Actor) -> bool:
        async with self._contexts.acting(tenant_id, by, SCOPES, _EVERYWHERE):
            answer = await self._stub.LiftForPlatform(consent_pb2.PlatformStopRequest(address_key=address_key, source=reason))
        return answer.lifted

    async def met(self, tenant_id: str, address_keys: Sequence[bytes], reason: str, by: Actor, since_us: int) -> None:
        request = consent_pb2.SuppressManyRequest(
            address_keys=address_keys, source=reason, idempotency_key=f"everywhere/{since_us}", platform=True
        )
        async with self._contexts.acting(tenant_id, by, SCOPES, _EVERYWHERE):
            await self._stub.SuppressMany(request)


def ledger_for(channel: grpc.aio.Channel, job: ImportJob) -> tuple[ConsentLedger, bytes]:
    """(where the consent of this import's rows goes, what the customer attests of them all)"""
    if job.settings.consent is None:
        return NoConsent(), attestation_of(job)
    return AttestedConsent(consent_pb2_grpc.ConsentServiceStub(channel), job), attestation_of(job)
