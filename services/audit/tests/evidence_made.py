"""A log of what happened to Ann, beside fakes of the services that evidence asks, and a bundle as whoever gets it has it."""

from __future__ import annotations

import asyncio
import hashlib
import io
import subprocess
import sys
import zipfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw.audit.v1.audit_pb2_grpc import AuditServiceStub
from postlaw.consent.v1 import consent_pb2 as consent
from postlaw.consent.v1.consent_pb2_grpc import add_ConsentServiceServicer_to_server
from postlaw.sending.v1 import sending_pb2 as sending
from postlaw.subscribers.v1 import subscribers_pb2 as subscribers
from postlaw.subscribers.v1.subscribers_pb2_grpc import add_SubscribersServiceServicer_to_server
from postlaw_audit.service import AuditSettings, build
from postlaw_common.errors import PostlawError
from postlaw_common.events import new_event, to_record
from postlaw_common.settings import load
from postlaw_common.testing.mesh import Mesh, fake, mesh
from postlaw_common.testing.patience import patience

ANN, BEN = b"\1" + b"a" * 32, b"\1" + b"b" * 32
WORDING = "Yes, send me the news."
NOTICE = hashlib.sha256(WORDING.encode()).digest()
Files = dict[str, bytes]


class Subscribers:
    async def ResolvePerson(self, request: Any, context: Any) -> subscribers.ResolvedPerson:
        return subscribers.ResolvedPerson(address_key=ANN if request.address == "ann@example.com" else BEN[:1] + b"x" * 32)


class Consent:
    async def GetNotice(self, request: Any, context: Any) -> consent.Notice:
        return consent.Notice(notice_hash=NOTICE, wording=WORDING)


def happened() -> list[tuple[str, str, Any]]:
    given, stop = (consent.ConsentEvent(event_id=f"evt_{n}", address_key=ANN, version=n) for n in (1, 2))
    given.MergeFrom(consent.ConsentEvent(kind=consent.ConsentEvent.KIND_GIVEN, route=consent.ROUTE_PAGE, notice_hash=NOTICE))
    stop.kind = consent.ConsentEvent.KIND_WITHDRAWN
    given.particulars.held.extend([consent.EVIDENCE_PURPOSE, consent.EVIDENCE_SEPARATE])  # several numbers in one field, and names for them
    given.scope.list_id = stop.scope.list_id = "lst_1"
    given.recorded_at.FromSeconds(1_000)
    stop.recorded_at.FromSeconds(3_000)
    verdicts = [consent.Verdict(allow=False), consent.Verdict(allow=True, bases={"GB": "consent"})]
    decided = consent.DecisionsMade(
        campaign_id="cmp_1", decided_at_us=1_900_000_000, law_version="2026-11", inputs_hash=b"h" * 32, verdicts=verdicts,
        address_keys=[BEN, ANN], verdict_of=[0, 1], events=[0, 1],
    )  # fmt: skip
    settled = sending.BatchSettled(
        campaign_id="cmp_1", address_keys=[BEN, ANN], subscriber_ids=["sub_b", "sub_a"], states=b"\3\2", reasons=[1, 0],
        reason_texts=["no consent"], started_at_us=2_000_000_000, handed_over_after_us=[0, 250], law_version="2026-11",
        inputs_hash=b"h" * 32,
    )  # fmt: skip
    answered = consent.WithdrawalAnswered(address_key=ANN, withdrawal=consent.Withdrawal(event_id="evt_2", outcome=consent.OUTCOME_STOPPED))
    read = audit.PersonalDataRead(operation="subscribers.GetSubscriber", subscriber_ids=["sub_a"])
    return [
        ("postlaw.consent.ConsentEvent", "evt_1", given), ("postlaw.consent.DecisionsMade", "", decided),
        ("postlaw.sending.BatchSettled", "", settled), ("postlaw.consent.ConsentEvent", "evt_2", stop),
        ("postlaw.consent.WithdrawalAnswered", "", answered), ("postlaw.gateway.PersonalDataRead", "", read),
        ("postlaw.consent.ConsentEvent", "evt_9", consent.ConsentEvent(event_id="evt_9", address_key=BEN)),
    ]  # fmt: skip


@asynccontextmanager
async def log_of(tmp_path: Path, events_of: Sequence[tuple[str, str, Any]], after: int = 0) -> AsyncGenerator[Mesh]:
    """`events_of`: type, id and message of each; `after` so many that the log has already."""
    others = [
        fake("subscribers", add_SubscribersServiceServicer_to_server, Subscribers()),
        fake("consent", add_ConsentServiceServicer_to_server, Consent()),
    ]
    async with mesh(tmp_path, [lambda platform: build(platform, load(AuditSettings)), *others]) as made:
        events = [
            new_event(
                type,
                message.SerializeToString(),
                source="x",
                sequence=n,
                event_id=event_id or None,
                **of_whom(message),
            )
            for n, (type, event_id, message) in enumerate(events_of)
        ]
        await made.running.backing.bus.publish([to_record(event, "postlaw.consent.events.v1", 0) for event in events])
        operator: Any = AuditServiceStub(made.channel("audit", as_service="operator"))
        async with patience():
            while not await indexed(operator, after + len(events)):
                await asyncio.sleep(0.05)
        yield made


def of_whom(message: Any) -> dict[str, Any]:
    tenant_id = message.tenant_id or "ten_1"
    return {"tenant_id": tenant_id, "subject": f"{tenant_id}/{message.domain}" if hasattr(message, "domain") else "s"}


async def indexed(operator: Any, entries: int) -> bool:
    try:
        return (await operator.GetIndex(audit.GetIndexRequest())).indexed >= entries
    except PostlawError:  # there is no checkpoint yet
        return False


def stub_of(running: Mesh, tenant_id: str = "ten_1") -> Any:
    caller = running.caller(tenant_id, ["audit:read", "consents:read"])
    return AuditServiceStub(running.channel("audit", caller=caller))


async def asked(running: Mesh, address: str = "", tenant_id: str = "ten_1", mail: bytes | None = None) -> Files:
    request = audit.GetEvidenceRequest(address=address) if mail is None else audit.GetEvidenceRequest(mail=mail)
    zipped = b"".join([piece.data async for piece in stub_of(running, tenant_id).GetEvidence(request)])
    return unzipped(zipped)


def unzipped(zipped: bytes) -> Files:
    with zipfile.ZipFile(io.BytesIO(zipped)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def checked(files: Files, at: Path, *words: str, program: str = "verify.py") -> subprocess.CompletedProcess[str]:
    """By a Python that has nothing of ours, nor anything else, on a machine whose files are not in UTF-8, as on many a Windows."""
    for name, data in files.items():
        (at / name).parent.mkdir(parents=True, exist_ok=True)
        (at / name).write_bytes(data)
    alone = [sys.executable, "-I", "-S", "-X", "utf8=0", str(at / program), *words]
    return subprocess.run(alone, env={"LC_ALL": "POSIX"}, capture_output=True, text=True, check=False)
