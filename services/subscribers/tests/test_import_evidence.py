"""The consent that an import's rows bring: what the customer attests of all, and what each row says itself."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from postlaw.consent.v1 import consent_pb2
from postlaw.subscribers.v1 import subscribers_pb2 as pb
from postlaw_common.crypto import Sealer
from postlaw_common.errors import Invalid
from postlaw_common.keys.customer import CustomerKeys
from postlaw_common.testing.promises import promise
from postlaw_subscribers.person_keys import KEY_DATABASE, PROOF_EVIDENCE, PersonKeys, place

from .import_files import finished_after_a_crash

HELD = ["affirmative_act", "purpose", "separate"]
TOLD = [consent_pb2.EVIDENCE_AFFIRMATIVE_ACT, consent_pb2.EVIDENCE_PURPOSE, consent_pb2.EVIDENCE_SEPARATE]
ATTESTED: dict[str, Any] = {"held": HELD, "territories": ["GB"], "language": "en", "method": "web form"}


async def by_address(world: Any, list_id: str) -> dict[str, consent_pb2.ConsentRecord]:
    """What consent was told, by address."""
    address_of = {member.address_key: member.address for member in await world.audience(list_id)}
    return {address_of[address_key]: record for (_, address_key, _), record in world.consent.records.items()}


async def evidence_of(world: Any, record: consent_pb2.ConsentRecord) -> dict[str, str]:
    """Opened with the person's proof key."""
    key_store = world.backing.store(KEY_DATABASE)
    person_keys = PersonKeys(key_store, CustomerKeys(key_store, world.backing.root_key))
    opened = await person_keys.open_many(await person_keys.wrapping("ten_a"), [record.address_key])
    proof = Sealer(opened[record.address_key].proof)
    return json.loads(proof.open(record.sealed_proof_evidence, place("ten_a", record.address_key, PROOF_EVIDENCE)))


@promise("G2")
async def test_what_is_attested_reaches_consent_in_the_laws_words(world: Any) -> None:
    list_id = await world.make_list()
    await world.imported(list_id, b"email\nann@example.com\n", attested=ATTESTED)
    [record] = world.consent.records.values()
    assert record.kind == consent_pb2.ConsentEvent.KIND_GIVEN
    told: dict[str, Any] = {**ATTESTED, "held": TOLD, "grade": consent_pb2.EVIDENCE_GRADE_ATTESTED}
    assert record.particulars == consent_pb2.Particulars(**told)
    assert world.consent.variants == [0], "nothing is sent twice where all rows are alike"


@promise("G2")
async def test_each_row_carries_its_territory_and_its_grade(world: Any) -> None:
    list_id = await world.make_list()
    data = (
        "email,country,evidence\nann@example.com,DE,captured\nbob@example.com,Österreich,\ncid@example.com,,none\n"
        "dan@example.com,Atlantis,attested\neve@example.com,FR,perhaps\nfay@example.com,Germany,captured\n"
    ).encode()
    done = await world.imported(list_id, data, attested=ATTESTED)
    told = {name: record.particulars for name, record in (await by_address(world, list_id)).items()}
    none, attested, captured = (
        consent_pb2.EVIDENCE_GRADE_NONE, consent_pb2.EVIDENCE_GRADE_ATTESTED, consent_pb2.EVIDENCE_GRADE_CAPTURED
    )  # fmt: skip
    assert {name.partition("@")[0]: (list(each.territories), each.grade, list(each.held)) for name, each in told.items()} == {
        "ann": (["DE"], captured, TOLD),
        "bob": (["AT"], attested, TOLD),
        "cid": (["GB"], none, []),
        "dan": (["ZZ"], attested, TOLD),
        "eve": (["FR"], none, []),
        "fay": (["DE"], captured, TOLD),
    }
    assert {each.language for each in told.values()} == {"en"}
    assert dict(done.warnings) == {"unknown_territory": 1, "unknown_grade": 1}
    assert (done.rows, done.added, done.refused) == (6, 6, 0), "a warning costs nobody their place"
    [fields] = [dict(member.fields) for member in await world.audience(list_id) if member.address == "bob@example.com"]
    assert fields == {"country": "Österreich"}


async def test_the_columns_can_have_names_of_their_own(world: Any) -> None:
    list_id = await world.make_list()
    data = b"email,Wohnort,Beleg\nann@example.com,Schweiz,captured\n"
    await world.imported(list_id, data, attested=ATTESTED, territory_column="wohnort", grade_column="Beleg")
    [record] = world.consent.records.values()
    assert (list(record.particulars.territories), record.particulars.grade) == (["CH"], consent_pb2.EVIDENCE_GRADE_CAPTURED)
    failed = await world.imported(list_id, data, attested=ATTESTED, time_column="when")
    assert failed.state == pb.Import.STATE_FAILED and "'time_column'" in failed.failure


@promise("G2")
async def test_a_rows_own_evidence_is_sealed_under_the_persons_proof_key(world: Any) -> None:
    list_id = await world.make_list()
    data = (
        b"email,consented_at,form,ip\nann@example.com,2024-03-01T10:00:00+01:00,https://acme.example/join,192.0.2.7\n"
        b"bob@example.com,2024-03-01 10:00:00,,\ncid@example.com,yesterday,b,\ndan@example.com,2999-01-01T00:00:00Z,c,\n"
        b"eve@example.com,,,\nfay@example.com,2024-03-01T10:00:00Z," + b"x" * 201 + b",\n"
    )
    done = await world.imported(list_id, data, attested=ATTESTED)
    records = await by_address(world, list_id)
    assert all(b"acme.example" not in record.SerializeToString() for record in records.values())
    assert await evidence_of(world, records["ann@example.com"]) == {
        "consented_at": "2024-03-01T10:00:00+01:00",
        "form": "https://acme.example/join",
    }
    assert await evidence_of(world, records["cid@example.com"]) == {"form": "b"}
    assert await evidence_of(world, records["dan@example.com"]) == {"form": "c"}
    assert await evidence_of(world, records["fay@example.com"]) == {"consented_at": "2024-03-01T10:00:00Z"}
    assert not records["bob@example.com"].sealed_proof_evidence and not records["eve@example.com"].sealed_proof_evidence
    assert dict(done.warnings) == {"time_without_zone": 1, "unreadable_time": 1, "time_in_future": 1, "form_too_long": 1}


@promise("G2")
@pytest.mark.parametrize("nothing", ["0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z"])
async def test_a_time_that_stands_for_none_costs_the_row_its_time_and_the_import_nothing(world: Any, nothing: str) -> None:
    list_id = await world.make_list()
    data = f"email,consented_at\nann@example.com,{nothing}\nbob@example.com,2024-03-01T10:00:00Z\n".encode()
    done = await world.imported(list_id, data, attested=ATTESTED)
    assert (done.state, done.added, dict(done.warnings)) == (pb.Import.STATE_DONE, 2, {"time_before_1970": 1})
    assert not (await by_address(world, list_id))["ann@example.com"].sealed_proof_evidence


async def test_people_from_before_bring_their_rows_evidence_too(world: Any) -> None:
    list_id = await world.make_list()
    await world.imported(list_id, b"email\nann@example.com\n", consent=False)
    await world.imported(list_id, b"email,country,form\nann@example.com,DE,a\nbob@example.com,FR,b\n", attested=ATTESTED)
    records = await by_address(world, list_id)
    assert [list(records[f"{name}@example.com"].particulars.territories) for name in ("ann", "bob")] == [["DE"], ["FR"]]
    assert await evidence_of(world, records["ann@example.com"]) == {"form": "a"}


async def test_what_many_rows_share_is_flagged_and_not_shown(world: Any) -> None:
    list_id = await world.make_list()
    rows = [f"p{i}@example.com,2024-03-01T10:00:{i % 60:02}Z,203.0.113.{7 if i < 40 else i},form {i}" for i in range(60)]
    rows += [f"q{i}@example.com,2024-03-02 10:00,2001:DB8::{i:x},the same" for i in range(30)]
    done = await world.imported(list_id, "\n".join(["email,consented_at,ip,form", *rows]).encode(), attested=ATTESTED)
    assert [(flag.what, flag.rows) for flag in done.flags] == [("time", 30), ("ip", 40), ("form", 30)]
    assert b"203.0.113" not in done.SerializeToString()
    document = await world.backing.store("subscribers").collection("imports").get(f"ten_a/{done.import_id}")
    assert "tallies" not in document, "addresses are kept no longer than the job needs them"


async def test_a_crash_flags_no_row_twice(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postlaw_subscribers.use_cases.run_import.TOGETHER", 7)
    list_id = await world.make_list()
    data = b"email,ip,country\n" + b"".join(b"p%d@example.com,192.0.2.1,Atlantis\n" % i for i in range(50))
    done = await finished_after_a_crash(world, list_id, data, attested=ATTESTED)
    assert ([(flag.what, flag.rows) for flag in done.flags], dict(done.warnings)) == ([("ip", 50)], {"unknown_territory": 50})


async def test_whoever_goes_on_with_an_import_knows_what_the_rows_before_shared(world: Any, until: Any) -> None:
    list_id = await world.make_list()
    world.consent.hold = asyncio.Event()
    data = b"email,ip,note\n" + b"".join(b"p%d@example.com,192.0.2.1,%080d\n" % (i, i) for i in range(10_000))
    started = await world.upload(list_id, data, attested=ATTESTED)

    async def calls() -> bool:
        return world.consent.calls > 0

    async def counted() -> bool:
        return (await world.stub().GetImport(pb.GetImportRequest(import_id=started.import_id))).rows > 0

    await until(calls)
    await world.stub().CancelImport(pb.GetImportRequest(import_id=started.import_id))
    world.consent.hold.set()
    await until(counted)
    document = await world.backing.store("subscribers").collection("imports").get(f"ten_a/{started.import_id}")
    assert document["tallies"] and b"192.0.2.1" not in document["tallies"], "what is kept meanwhile is sealed"
    await world.stop()
    await world.start()
    halfway = await world.stub().ResumeImport(pb.GetImportRequest(import_id=started.import_id))
    done = await world.finished(started)
    assert [flag.rows for flag in halfway.flags] == [halfway.rows] and halfway.rows < 10_000
    assert [(flag.what, flag.rows) for flag in done.flags] == [("ip", 10_000)]


@promise("G2")
async def test_a_notice_that_was_not_shown_at_a_rows_time_is_told_in_the_report(world: Any) -> None:
    world.consent.remarks = ["consent.notice_hash", "given_at_us[1]"]
    data = b"email,consented_at\nann@example.com,2024-03-01T10:00:00Z\nbob@example.com,\ncid@example.com,\n"
    done = await world.imported(await world.make_list(), data, attested=ATTESTED)
    assert dict(done.warnings) == {"notice_not_shown": 3}
    done = await world.imported(await world.make_list(), b"email\nann@example.com\nbob@example.com\n", attested=ATTESTED)
    assert dict(done.warnings) == {"notice_not_shown": 3}  # two without a time, and the fake's other remark


@promise("M8")
async def test_a_relationship_is_recorded_as_what_it_is_from_the_earliest_instant(world: Any) -> None:
    list_id = await world.make_list()
    data = b"email,consented_at\nann@example.com,2024-03-01T10:00:00Z\nold@example.com,2019-03-01T10:00:00Z\nbob@example.com,\n"
    data += b"nil@example.com,1970-01-01T00:00:00Z\n"
    attested = {"relationship": "purchase", "collected_at": {"seconds": 1_700_000_000}, "territories": ["CA"]}
    done = await world.imported(list_id, data, attested=attested)
    records = await by_address(world, list_id)
    assert set(records) == {"ann@example.com", "bob@example.com"}, "the clock of the others would run from too late an instant"
    assert {record.kind for record in records.values()} == {consent_pb2.ConsentEvent.KIND_IMPLIED}
    assert {record.particulars.relationship for record in records.values()} == {"purchase"}
    assert records["bob@example.com"].given_at.seconds == 1_700_000_000
    assert records["ann@example.com"].given_at.ToJsonString() == "2024-03-01T10:00:00Z"
    assert (dict(done.warnings), done.added) == ({"older_than_attested": 2, "time_before_1970": 1}, 4)


@pytest.mark.parametrize("wrong", [{"held": ["proof_ref"]}, {"territories": ["Germany"]}, {"relationship": "purchase"}, {"language": "?"}])
async def test_an_attestation_that_the_law_does_not_understand_imports_nothing(world: Any, wrong: dict[str, Any]) -> None:
    list_id = await world.make_list()
    with pytest.raises(Invalid) as refused:
        await world.upload(list_id, b"email\nann@example.com\n", attested=wrong)
    [field] = refused.value.fields
    assert field.field in {"consent.held", "consent.territories", "consent.collected_at", "consent.language"}
    assert await world.audience(list_id) == []


async def test_another_attestation_of_the_same_file_is_another_consent(world: Any) -> None:
    list_id = await world.make_list()
    for territories in (["GB"], ["GB"], ["DE"]):
        await world.imported(list_id, b"email\nann@example.com\n", attested={"territories": territories})
    assert len(world.consent.records) == 2
