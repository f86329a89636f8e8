"""An import: what is taken, what is refused and why; and that crashes, repetitions and duplicates count nobody twice."""

from __future__ import annotations

import asyncio
import codecs
import csv
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from postlaw.subscribers.v1 import subscribers_pb2 as pb
from postlaw_common.errors import Conflict, Invalid, TooLarge
from postlaw_common.keys.customer import CustomerKeys
from postlaw_common.testing.promises import promise
from postlaw_subscribers.domain.csv_rows import Row
from postlaw_subscribers.person_keys import KEY_DATABASE, PersonKeys
from postlaw_subscribers.settings import SubscribersSettings
from postlaw_subscribers.use_cases.import_batch import Candidate, stretches

PEOPLE = b"email,first name\nann@example.com,Ann\nBob+news@Example.com,Bob\n"
Until = Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]]


def rows(count: int) -> bytes:
    return b"email,name\n" + b"".join(b"p%d@example%d.com,Person %d\n" % (i, i % 7, i) for i in range(count))


def counts(done: pb.Import) -> tuple[int, int, int, int, int]:
    return done.rows, done.added, done.updated, done.unchanged, done.refused


async def test_rows_become_people_on_the_list_with_their_fields(world: Any) -> None:
    list_id = await world.make_list()
    done = await world.imported(list_id, PEOPLE)
    assert done.state == pb.Import.STATE_DONE
    assert counts(done) == (2, 2, 0, 0, 0)
    assert done.bytes_done == done.bytes_total == len(PEOPLE)
    members = {member.address: dict(member.fields) for member in await world.audience(list_id)}
    assert members == {"ann@example.com": {"first name": "Ann"}, "Bob+news@example.com": {"first name": "Bob"}}


@promise("S8")
async def test_the_same_file_twice_imports_nothing_twice(world: Any) -> None:
    list_id = await world.make_list()
    await world.imported(list_id, rows(50))
    consents = dict(world.consent.records)
    again = await world.imported(list_id, rows(50))
    assert counts(again) == (50, 0, 0, 50, 0)
    assert len(await world.audience(list_id)) == 50
    assert world.consent.records == consents, "the same attestation gives nobody consent twice"


async def test_a_known_person_gains_fields_and_lists_and_loses_nothing(world: Any) -> None:
    first, second = await world.make_list(), await world.make_list()
    await world.imported(first, b"email,city,name\nann@example.com,Graz,Ann\n")
    done = await world.imported(second, b"email,city,name\nANN@example.com,Wien,\n")
    assert counts(done) == (1, 0, 1, 0, 0)
    [of_first], [of_second] = await world.audience(first), await world.audience(second)
    assert dict(of_first.fields) == dict(of_second.fields) == {"city": "Wien", "name": "Ann"}
    assert of_first.subscriber_id == of_second.subscriber_id


async def test_each_refused_row_has_a_reason_and_the_totals_add_up(world: Any) -> None:
    list_id = await world.make_list()
    data = (
        b"email,name\nann@example.com,Ann\n,Nobody\nno-at-sign,X\nbob@example.com,Bob,extra\nANN@Example.com,Again\nnul@example.com,a\0b\n"
        b"long@example.com," + b"x" * 20_000 + b'\nquo@example.com,"ab"c\n\n'
        b"last@example.com,Last"
    )
    done = await world.imported(list_id, data)
    assert dict(done.refused_by_reason) == {
        "no_address": 1,
        "invalid_address": 1,
        "too_many_cells": 1,
        "duplicate_in_file": 1,
        "control_character": 1,
        "row_too_long": 1,
        "bad_quotes": 1,
    }
    assert counts(done) == (9, 2, 0, 0, 7)
    report = list(csv.reader(io.StringIO(await world.report(done.import_id))))
    assert report[0] == ["row", "reason", "column", "email", "name"]
    assert [(row[0], row[1], row[2]) for row in report[1:5]] == [
        ("3", "no_address", "email"),
        ("4", "invalid_address", "email"),
        ("5", "too_many_cells", ""),
        ("6", "duplicate_in_file", "email"),
    ]


async def test_duplicates_far_apart_in_a_file_are_refused(world: Any) -> None:
    list_id = await world.make_list()
    done = await world.imported(list_id, rows(7000) + b"P0@example0.com,Again\n")
    assert counts(done) == (7001, 7000, 0, 0, 1)
    assert dict(done.refused_by_reason) == {"duplicate_in_file": 1}


async def test_duplicates_of_a_person_from_before_are_refused_too(world: Any) -> None:
    list_id = await world.make_list()
    await world.imported(list_id, b"email\np0@example0.com\n")
    done = await world.imported(list_id, rows(7000) + b"P0@example0.com,Again\n")
    assert counts(done) == (7001, 6999, 1, 0, 1)


async def test_bad_looking_addresses_are_taken_and_counted_and_stand_in_the_report(world: Any) -> None:
    list_id = await world.make_list()
    data = (
        b"email,name\nann@example.com,Ann\ninfo@mailinator.com,=1\nbob@gmial.com,Bob\n"
        b"nobody,x\nINFO@mailinator.com,again\nspamtrap@example.com,\n"
    )
    done = await world.imported(list_id, data)
    assert (done.rows, done.added, done.refused) == (6, 4, 2), "nobody is refused for it"
    assert dict(done.warnings) == {"role_address": 1, "disposable_domain": 2, "mistyped_domain": 1, "trap_like": 1}
    report = list(csv.reader(io.StringIO(await world.report(done.import_id))))
    assert [row[:3] for row in report[1:]] == [
        ["3", "warning:role_address", "email"],
        ["3", "warning:disposable_domain", "email"],
        ["4", "warning:mistyped_domain", "email"],
        ["4", "warning:disposable_domain", "email"],
        ["5", "invalid_address", "email"],
        ["6", "duplicate_in_file", "email"],
        ["7", "warning:trap_like", "email"],
    ]
    assert report[1][3:] == ["info@mailinator.com", "'=1"]


async def test_formula_cells_are_defused_in_the_report(world: Any) -> None:
    list_id = await world.make_list()
    done = await world.imported(list_id, b'email,name\n=cmd|calc,+1\n@x,-2\nbad,"\t3"\n')
    cells = [row[3:] for row in csv.reader(io.StringIO(await world.report(done.import_id)))][1:]
    assert cells == [["'=cmd|calc", "'+1"], ["'@x", "'-2"], ["bad", "'\t3"]]


@pytest.mark.parametrize(
    ("data", "settings"),
    [
        (codecs.BOM_UTF8 + "email;name\nann@example.com;Zoë\n".encode(), {}),
        ("email\tname\r\nann@example.com\tZoë\r\n".encode("utf-16"), {}),
        ("email,name\rann@example.com,Zoë\r".encode("latin-1"), {"encoding": "ISO-8859-1"}),
        ("Kontakt,name\nann@example.com,Zoë".encode(), {"address_column": "kontakt"}),
    ],
)
async def test_encodings_separators_and_line_ends_are_understood(world: Any, data: bytes, settings: dict[str, str]) -> None:
    list_id = await world.make_list()
    done = await world.imported(list_id, data, **settings)
    assert counts(done) == (1, 1, 0, 0, 0), done.failure
    [member] = await world.audience(list_id)
    assert dict(member.fields) == {"name": "Zoë"}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "The file is empty"),
        (b"\n\n", "The file is empty"),
        (b"ann@example.com,Ann\nbob@example.com,Bob\n", "looks like a person, not like a header"),
        (b"email,name,Name\na@example.com,x,y\n", "Two columns are called"),
        (b",".join(b"c%d" % i for i in range(101)) + b",email\n", "at most 100"),
        (b"email,name\nann@example.com,Zo\xeb\n", "Byte 30 of the file is not UTF-8"),
        (codecs.BOM_UTF8 + b"email,name\nann@example.com,Zo\xeb\n", "Byte 33 of the file is not UTF-8"),
        (b"email,name\n" + b"ann@example.com,x\n" * 10_000 + b"\xff", "Byte 180012 of the file is not UTF-8"),
        ("email,name\nann@example.com,x\n".encode("utf-16-le"), "UTF-16 without a byte-order mark"),
        (b"x" * 300_000, "header line cannot be read"),
    ],
)
async def test_a_file_that_cannot_be_read_fails_whole_and_says_why(world: Any, data: bytes, said: str) -> None:
    list_id = await world.make_list()
    done = await world.imported(list_id, data)
    assert done.state == pb.Import.STATE_FAILED
    assert said in done.failure
    assert await world.audience(list_id) == []


async def test_headers_only_is_done_with_no_rows(world: Any) -> None:
    done = await world.imported(await world.make_list(), b"email,name\n")
    assert (done.state, done.rows) == (pb.Import.STATE_DONE, 0)


async def test_an_unknown_encoding_and_an_upload_that_is_too_large_are_refused(world: Any) -> None:
    list_id = await world.make_list()
    with pytest.raises(Invalid):
        await world.upload(list_id, PEOPLE, encoding="ebcdic")
    await world.stop()
    world.settings = SubscribersSettings(upload_max_bytes=2000)
    await world.start()
    with pytest.raises(TooLarge):
        await world.upload(list_id, rows(1000))


async def test_consent_is_recorded_once_a_person_with_what_the_customer_attests_sealed(world: Any) -> None:
    list_id = await world.make_list()
    await world.imported(list_id, PEOPLE)
    key_store = world.backing.store(KEY_DATABASE)
    wrapping = await PersonKeys(key_store, CustomerKeys(key_store, world.backing.root_key)).wrapping("ten_a")
    records = list(world.consent.records.values())
    assert len(records) == 2
    for record in records:
        assert record.scope.list_id == list_id
        assert record.source == "the shop's checkout"
        assert record.wording == "Yes, send me news.", "so that consent can keep it as a notice"
        assert b"Ada Example" not in record.SerializeToString()
        attested = json.loads(wrapping.open_attestation(record.sealed_attestation))
        assert (attested["list_id"], attested["source"]) == (list_id, "the shop's checkout")
        assert attested["attested_by"].encode() not in record.SerializeToString()


async def test_without_an_attestation_no_consent_is_recorded(world: Any) -> None:
    done = await world.imported(await world.make_list(), PEOPLE, consent=False)
    assert done.added == 2
    assert world.consent.calls == 0


@promise("S8")
@pytest.mark.parametrize("together", [4000, 70], ids=["whole", "in parts"])
async def test_a_crash_before_the_checkpoint_leaves_the_totals_exact(world: Any, monkeypatch: pytest.MonkeyPatch, together: int) -> None:
    """Much of the batch is stored when the process dies: consent, the last step before the checkpoint, is away."""
    monkeypatch.setattr("postlaw_subscribers.use_cases.run_import.TOGETHER", together)
    list_id = await world.make_list()
    world.consent.away = True
    data = rows(300) + b"p5@example5.com,Again\nbroken,X\n"
    started = await world.upload(list_id, data)
    while not world.consent.calls:
        await asyncio.sleep(0.01)
    await world.stop()
    world.consent.away = False
    await world.start()
    done = await world.finished(started)
    assert counts(done) == (302, 300, 0, 0, 2)
    assert len(await world.audience(list_id)) == 300
    assert len(world.consent.records) == 300


def test_a_batch_is_stored_in_stretches_of_address_keys_of_one_size() -> None:
    candidates = [Candidate(Row(n, []), bytes([n]), "", "", {}) for n in range(25)]
    for longest, sizes in ((25, [25]), (24, [12, 13]), (10, [8, 8, 9]), (1, [1] * 25)):
        parts = list(stretches(candidates, longest))
        assert [len(part) for part in parts] == sizes
        assert [candidate for part in parts for candidate in part] == candidates
    assert list(stretches([], 10)) == []


@promise("A1")
async def test_cancelled_halfway_and_resumed_it_ends_as_if_never_cancelled(world: Any, until: Until) -> None:
    list_id = await world.make_list()
    world.consent.hold = asyncio.Event()
    started = await world.upload(list_id, rows(15_000))

    async def called() -> bool:
        return world.consent.calls > 0

    await until(called)
    stub = world.stub()
    cancelled = await stub.CancelImport(pb.GetImportRequest(import_id=started.import_id))
    assert cancelled.state == pb.Import.STATE_CANCELLED
    world.consent.hold.set()

    async def counted() -> bool:
        return (await stub.GetImport(pb.GetImportRequest(import_id=started.import_id))).rows > 0

    await until(counted)
    halfway = await stub.GetImport(pb.GetImportRequest(import_id=started.import_id))
    assert halfway.state == pb.Import.STATE_CANCELLED
    assert 0 < halfway.rows < 15_000
    await stub.ResumeImport(pb.GetImportRequest(import_id=started.import_id))
    done = await world.finished(started)
    assert counts(done) == (15_000, 15_000, 0, 0, 0)
    with pytest.raises(Conflict):
        await stub.ResumeImport(pb.GetImportRequest(import_id=started.import_id))
    events = [event for event in await world.events() if event.type == "postlaw.subscribers.ImportChanged"]
    changes = [pb.ImportChanged.FromString(event.data) for event in events]
    S = pb.Import
    assert [(one.before, getattr(one, "import").state) for one in changes] == [
        (S.STATE_UNSPECIFIED, S.STATE_QUEUED), (S.STATE_RUNNING, S.STATE_CANCELLED), (S.STATE_CANCELLED, S.STATE_QUEUED),
    ]  # fmt: skip
    assert all(event.actor.startswith("api_key:") for event in events)


def resident_mb(name: str) -> float:
    """Of this process: VmRSS now, VmHWM at its highest since `forget_peak`."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status[name].split()[0]) / 1024


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")  # proc_pid_clear_refs(5)


async def test_a_line_of_a_gigabyte_costs_one_row_and_no_memory(world: Any) -> None:
    list_id = await world.make_list()
    piece = b"x" * (1 << 20)

    async def file() -> AsyncIterator[bytes]:
        yield b"email,name\nann@example.com,Ann\n"
        for _ in range(1024):
            yield piece
        yield b"\nbob@example.com,Bob\n"

    forget_peak()
    before = resident_mb("VmRSS")
    done = await world.finished(await world.upload_stream(list_id, file()), within_s=240)
    assert counts(done) == (3, 2, 0, 0, 1)
    assert dict(done.refused_by_reason) == {"row_too_long": 1}
    assert resident_mb("VmHWM") - before < 100


async def test_a_person_who_goes_and_comes_back_while_their_row_is_taken_stops_no_import(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    list_id = await world.make_list()
    await world.imported(list_id, PEOPLE)
    open_many = PersonKeys.open_many
    ann = next(member.subscriber_id for member in await world.audience(list_id) if member.address == "ann@example.com")

    async def slow(self: PersonKeys, *asked: Any) -> Any:
        monkeypatch.setattr(PersonKeys, "open_many", open_many)
        opened = await open_many(self, *asked)
        await world.stub().DeleteSubscriber(pb.DeleteSubscriberRequest(subscriber_id=ann))
        await world.stub().PutSubscriber(pb.PutSubscriberRequest(address="ann@example.com"))
        return opened

    monkeypatch.setattr(PersonKeys, "open_many", slow)
    done = await world.imported(list_id, PEOPLE)
    assert (done.state, counts(done)) == (pb.Import.STATE_DONE, (2, 0, 1, 1, 0))
    assert len(await world.audience(list_id)) == 2
