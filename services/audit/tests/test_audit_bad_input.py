"""Bad input and bad days: bytes nobody can read, a bucket or a disk that takes nothing, a clock that steps, a proof asked for early."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import time
from typing import Any

import pytest

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw_audit.domain.merkle import leaf_hash, verify_inclusion
from postlaw_audit.entries import DATA_LIMIT, UNDECODABLE, entries_of
from postlaw_audit.evidence.shown import facts_of
from postlaw_audit.ocsf.mapping import ocsf_of
from postlaw_audit.open_files import OpenFiles
from postlaw_audit.search.about import about, event_messages
from postlaw_audit.search.events import Event as FoundEvent
from postlaw_audit.search.searching import Found, Question
from postlaw_audit.search.wire import page_to_wire
from postlaw_audit.verifying import verify_log
from postlaw_common.blobs import BlobsUnavailable
from postlaw_common.bus import Received
from postlaw_common.errors import Invalid, NotFound
from postlaw_common.events import new_event, to_record
from postlaw_common.testing.patience import patience
from postlaw_common.testing.promises import promise
from postlaw_common.testing.telemetry_memory import reading
from services.audit.tests.installation import TOPICS, Installation, running


@promise("A1")
def test_bytes_that_are_no_event_are_kept_as_they_stand_and_flagged() -> None:
    [(_, data)] = entries_of(Received(TOPICS[0], 1, 7, b"\xff\xffno protobuf", None, {}, 5))
    entry = audit.Entry.FromString(data)
    assert (entry.type, entry.data, entry.offset, entry.time_us) == (UNDECODABLE, b"\xff\xffno protobuf", 7, 5)


@promise("A1")
async def test_an_event_whose_bytes_are_none_of_its_type_is_entered_found_and_flagged(there: Installation) -> None:
    broken = new_event("postlaw.sending.BatchSettled", b"\xff\xff\xff", source="sending", subject="cmp_1", sequence=1, tenant_id="ten_1")
    await there.bus.publish([to_record(broken, TOPICS[1], 0)])
    async with running(there.writer("a")):
        await there.reaches(1)
    found = await there.reader.prove_event(broken.id)
    entry = audit.Entry.FromString(found.entry)
    assert entry.data == broken.data
    event = FoundEvent(0, entry, entry.data, (found.entry,))
    [shown] = page_to_wire(Found([(event, about(entry.type, entry.data))], more=False, below=1), Question("ten_1")).entries
    assert dict(shown.said) == {"undecodable": "3 bytes that are no postlaw.sending.BatchSettled"}


ODD = [
    b"\x08\x01", b"\x0a\x05ab", b"\x0d" + bytes(4), b"\x09" + bytes(8), b"\x10" + b"\xff" * 3000 + b"\x01", b"\x0a\x01\xff",
    *(bytes([number << 3 | wire]) + b"\x01A" * 4 for number in range(1, 16) for wire in (0, 1, 2, 5)),
]  # fmt: skip


@promise("A1")
@pytest.mark.parametrize("type", event_messages())
def test_whatever_bytes_an_event_has_it_is_shown_exported_and_asked_about(type: str) -> None:
    for data in ODD:
        entry = audit.Entry(event_id="evt_1", type=type, tenant_id="ten_1", subject="sub_1", data=data)
        event = FoundEvent(0, entry, data, (entry.SerializeToString(),))
        found = Found([(event, about(type, data))], more=False, below=1)
        for question in (Question("ten_1"), Question("ten_1", subscribers=("sub_1",))):
            assert page_to_wire(found, question).entries[0].type == type
        json.dumps(ocsf_of(event), allow_nan=False)
        assert len(facts_of([event], ["sub_1"])) <= 1


@promise("A1", "A3")
async def test_an_event_beyond_an_entrys_limit_becomes_several_by_rule_and_none_of_it_is_lost(there: Installation) -> None:
    large = new_event("x", os.urandom(2 * DATA_LIMIT + 1), source="consent", subject="s", sequence=1, tenant_id="ten_1")
    await there.bus.publish([to_record(large, TOPICS[0], 0)])
    async with running(there.writer("a")):
        await there.reaches(3)
    entries = [audit.Entry.FromString(entry) for entry in await there.reader.bundle(0, 3)]
    assert [entry.context["part"] for entry in entries] == ["1/3", "2/3", "3/3"]
    assert b"".join(entry.data for entry in entries) == large.data
    assert (await verify_log(there.files, there.verifier)).checkpoint.size == 3


@promise("A1")
async def test_the_proof_of_an_event_of_several_entries_proves_all_of_them(there: Installation) -> None:
    large = new_event("x", os.urandom(2 * DATA_LIMIT + 1), source="consent", subject="s", sequence=1, tenant_id="ten_1")
    small = [new_event("x", b"", source="consent", subject="s", sequence=number, tenant_id="ten_1") for number in (2, 3)]
    await there.bus.publish([to_record(event, TOPICS[0], 0) for event in (small[0], large, small[1])])
    async with running(there.writer("a")):
        await there.reaches(5)
    proof = await there.reader.prove_event(large.id)
    for one in (whole := [proof, *proof.more]):
        verify_inclusion(one.index, proof.checkpoint.size, leaf_hash(one.entry), one.hashes, proof.checkpoint.root)
    assert [one.index for one in whole] == [1, 2, 3]
    assert b"".join(audit.Entry.FromString(one.entry).data for one in whole) == large.data
    assert not (await there.reader.prove_event(small[1].id)).more


@promise("A3", "S6")
async def test_while_the_whole_bucket_is_away_the_bus_keeps_events_the_age_is_seen_and_nothing_is_lost(
    there: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    async def away(*_: Any, **__: Any) -> None:
        nonlocal asked
        asked += 1
        raise BlobsUnavailable("S3 does not answer")

    with reading() as telemetry:
        async with running(there.writer("a")):
            await there.publish(100)
            await there.reaches(100)
            with monkeypatch.context() as patch:
                for name in ("put", "get", "delete"):
                    patch.setattr(there.blobs, name, away)
                ids, seen = await there.publish(100), list[float | None]()
                async with patience():
                    while asked < 3:
                        await asyncio.sleep(0.02)
                        seen.append(telemetry.value("postlaw.audit.checkpoint.age"))
                assert seen.count(None) < len(seen) / 2, "an alert needs a figure to look at"
            await there.reaches(200)
    assert len({(await there.reader.prove_event(event_id)).index for event_id in ids}) == 100
    assert (await verify_log(there.files, there.verifier)).checkpoint.size == 200


@promise("A3")
async def test_on_a_full_disk_the_writer_waits_and_goes_on_once_there_is_room(there: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    refused, fsync = 0, os.fsync

    def full(descriptor: int) -> None:
        nonlocal refused
        refused += 1
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async with running(there.writer("a")):
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            ids = await there.publish(50)
            async with patience():
                while refused < 2:
                    await asyncio.sleep(0.02)
        assert os.fsync is fsync
        await there.reaches(50)
    assert len({(await there.reader.prove_event(event_id)).index for event_id in ids}) == 50
    assert (await verify_log(there.files, there.verifier)).checkpoint.size == 50


@promise("A3")
async def test_a_clock_that_steps_back_or_ahead_neither_loses_nor_reorders_an_event(
    there: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids, now = list[str](), time.time_ns
    async with running(there.writer("a")):
        for step_s in (0, -3600, 86_400, 0):
            with monkeypatch.context() as patch:
                patch.setattr(time, "time_ns", lambda step_s=step_s: now() + step_s * 1_000_000_000)
                ids += await there.publish(20)
            await there.reaches(len(ids))
    places = [await there.reader.prove_event(event_id) for event_id in ids]
    assert len({place.index for place in places}) == 80
    assert max(place.index for place in places[:20]) < min(place.index for place in places[20:40])
    assert (await verify_log(there.files, there.verifier)).checkpoint.size == 80


@promise("A3")
async def test_a_proof_of_what_is_not_in_the_log_yet_is_refused_by_name_and_comes_a_moment_later(there: Installation) -> None:
    async with running(there.writer("a")):
        await there.publish(10)
        await there.reaches(10)
    [early] = await there.publish(1)
    with pytest.raises(NotFound, match="within a second"):
        await there.reader.prove_event(early)
    with pytest.raises(Invalid, match="first <= second <= 10"):
        await there.reader.prove_consistency(10, 11)
    for path in ("tile/0/001", "tile/0/000.p/11", "tile/1/000"):
        with pytest.raises(NotFound):
            await OpenFiles(there.files, False).get(path)
    async with running(there.writer("b")):
        await there.reaches(11)
    assert (await there.reader.prove_event(early)).index == 10
