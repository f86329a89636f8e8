"""The bundle of evidence verifies on a machine that has only Python, says what happened, and shows every change that was made to it."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw.audit.v1.audit_pb2_grpc import AuditServiceStub
from postlaw.consent.v1 import consent_pb2 as consent
from postlaw.consent.v1.consent_pb2_grpc import add_ConsentServiceServicer_to_server
from postlaw.sending.v1 import sending_pb2 as sending
from postlaw.subscribers.v1 import subscribers_pb2 as subscribers
from postlaw.subscribers.v1.subscribers_pb2_grpc import add_SubscribersServiceServicer_to_server
from postlaw_audit.evidence import verify
from postlaw_audit.service import AuditSettings, build
from postlaw_common.errors import NotFound, PostlawError
from postlaw_common.events import new_event, to_record
from postlaw_common.settings import load
from postlaw_common.testing.mesh import Mesh, fake, mesh
from postlaw_common.testing.promises import promise

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


@pytest.fixture
async def running(tmp_path: Path) -> AsyncGenerator[Mesh]:
    others = [
        fake("subscribers", add_SubscribersServiceServicer_to_server, Subscribers()),
        fake("consent", add_ConsentServiceServicer_to_server, Consent()),
    ]
    async with mesh(tmp_path, [lambda platform: build(platform, load(AuditSettings)), *others]) as made:
        events = [
            new_event(type, message.SerializeToString(), source="x", subject="s", sequence=n, tenant_id="ten_1", event_id=event_id or None)
            for n, (type, event_id, message) in enumerate(happened())
        ]
        await made.running.backing.bus.publish([to_record(event, "postlaw.consent.events.v1", 0) for event in events])
        operator: Any = AuditServiceStub(made.channel("audit", as_service="operator"))
        async with asyncio.timeout(20):
            while not await indexed(operator, len(events)):
                await asyncio.sleep(0.05)
        yield made


async def indexed(operator: Any, entries: int) -> bool:
    try:
        return (await operator.GetIndex(audit.GetIndexRequest())).indexed >= entries
    except PostlawError:  # there is no checkpoint yet
        return False


async def asked(running: Mesh, address: str, tenant_id: str = "ten_1") -> Files:
    caller = running.caller(tenant_id, ["audit:read", "consents:read"])
    stub: Any = AuditServiceStub(running.channel("audit", caller=caller))
    zipped = b"".join([piece.data async for piece in stub.GetEvidence(audit.GetEvidenceRequest(address=address))])
    with zipfile.ZipFile(io.BytesIO(zipped)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def checked(files: Files, at: Path, *key: str) -> subprocess.CompletedProcess[str]:
    """By a Python that has nothing of ours, nor anything else."""
    for name, data in files.items():
        (at / name).parent.mkdir(parents=True, exist_ok=True)
        (at / name).write_bytes(data)
    return subprocess.run([sys.executable, "-I", "-S", str(at / "verify.py"), *key], capture_output=True, text=True, check=False)


@promise("A1", "A3", "G1")
async def test_the_bundle_of_a_mailed_person_who_was_erased_verifies_with_python_alone(running: Mesh, tmp_path: Path) -> None:
    files = await asked(running, "ann@example.com")
    done = checked(files, tmp_path / "bundle", files["log.vkey"].decode())
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("verified: 6 events below the checkpoint of 7 entries")
    account = files["account.txt"].decode()
    for line in (
        "1970-01-01 00:33:20.000250 UTC  handed over, sent, campaign cmp_1  [entry 2]",
        "by the law of 2026-11; it rests on GB: consent",
        f'given {{"list_id": "lst_1"}} by page, wording/{NOTICE.hex()}.txt',
        "answered stopped at",
        "handed over later: nothing",
        "by subscribers.GetSubscriber",
        "all entries of the log below 7",
    ):
        assert line in account
    assert files[f"wording/{NOTICE.hex()}.txt"].decode() == WORDING
    assert json.loads(files["evidence.json"])["facts"][0]["said"]["particulars"]["held"] == ["EVIDENCE_PURPOSE", "EVIDENCE_SEPARATE"]
    assert not any(b"ann@example.com" in data for data in files.values())


@promise("A3")
async def test_every_change_of_the_bundle_is_seen(running: Mesh, tmp_path: Path) -> None:
    files = await asked(running, "ann@example.com")
    told = json.loads(files["evidence.json"])

    def changed(change: Callable[[Any], Any]) -> Files:
        other = json.loads(files["evidence.json"])
        change(other)
        return {"evidence.json": json.dumps(other).encode()}

    damages: dict[str, Files | None] = {f"flipped {name}": {name: flipped(data)} for name, data in files.items() if name != "verify.py"}
    damages |= {f"missing {name}": None for name in files if name != "verify.py"}
    damages |= {
        "a fact": changed(lambda one: one["facts"][0]["said"].update(kind="KIND_WITHDRAWN")),
        "another person": changed(lambda one: one["people"].append(BEN.hex())),
        "an event left out": changed(lambda one: (one["events"].pop(), one["facts"].pop())),
        "an entry that says the same in other bytes": {"entries/2": files["entries/2"] + b"\xa0\x06\x01"},
        "entries that changed places": {"entries/0": files["entries/2"], "entries/2": files["entries/0"]},
        "an older note of the same key": {"evidence.note": files["checkpoint"]},
    }
    assert len(told["facts"]) == 6
    for number, (damage, replaced) in enumerate(damages.items()):
        bundle = {name: data for name, data in files.items() if damage != f"missing {name}"} | (replaced or {})
        done = checked(bundle, tmp_path / str(number))
        assert (done.returncode, done.stderr[:12]) == (1, "NOT VERIFIED"), damage
    other = "postlaw.example/log+00000000+" + "A" * 44
    assert checked(files, tmp_path / "key", other).returncode == 1


def flipped(data: bytes) -> bytes:
    middle = len(data) // 3
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@promise("A1")
async def test_of_other_customers_and_of_strangers_there_is_nothing(running: Mesh) -> None:
    for address, tenant_id in (("ann@example.com", "ten_2"), ("nobody@example.com", "ten_1")):
        with pytest.raises(NotFound):
            await asked(running, address, tenant_id)


def test_the_verifier_is_short_enough_to_be_read_and_needs_nothing() -> None:
    source = Path(verify.__file__).read_text().splitlines()
    assert len(source) <= 150
    imported = {line.split()[1] for line in source if line.startswith(("import ", "from "))}
    assert imported <= sys.stdlib_module_names
