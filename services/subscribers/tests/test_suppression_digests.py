"""Suppression lists of digests: whoever they name is stopped, whether they are here already or come later, and nobody else can be told."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from postlaw.subscribers.v1 import subscribers_pb2 as pb
from postlaw_common.errors import Invalid, Unavailable
from postlaw_common.ordered_text import to_bytes
from postlaw_common.testing.patience import patience
from postlaw_common.testing.promises import promise
from postlaw_subscribers import digests as digest_documents
from postlaw_subscribers.addresses import normalise, spellings
from postlaw_subscribers.domain.digest import digests_of, is_digest, read_digest
from postlaw_subscribers.domain.person import AddressIndex
from postlaw_subscribers.person_keys import PersonKeys
from postlaw_subscribers.use_cases import put_subscriber, run_import
from services.subscribers.tests.by_hand import put
from services.subscribers.tests.turns import ORDERS, Turns

ANN, BOB = "ann@example.com", "bob@example.com"


def sha256(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()


def md5(address: str) -> str:
    return hashlib.md5(address.encode()).hexdigest()


async def listed(world: Any, rows: Sequence[str], *, format: str = "sha256", column: str = "hash", tenant_id: str = "ten_a") -> pb.Import:
    suppress = pb.ImportSuppression(source="the old provider", format=format)
    data = "\n".join([column, *rows, ""]).encode()
    return await world.imported("", data, consent=False, suppress=suppress, tenant_id=tenant_id)


async def key_of(world: Any, address: str, tenant_id: str = "ten_a", **more: Any) -> bytes:
    stub = world.stub(tenant_id, as_service="consent")
    return (await stub.ResolvePerson(pb.ResolvePersonRequest(address=address, **more))).address_key


async def stopped(world: Any, *addresses: str, tenant_id: str = "ten_a") -> list[str]:
    """Those of these addresses whose people were stopped."""
    return [one for one in addresses if (tenant_id, await key_of(world, one, tenant_id)) in world.consent.suppressed]


@promise("M6")
async def test_who_is_there_already_is_stopped_by_a_list_of_digests(world: Any) -> None:
    list_id = await world.make_list()
    await world.imported(list_id, b"email\nAnn@Example.com\nbob@example.com\neve@example.com\n")
    done = await listed(world, [sha256(ANN).upper(), sha256("nobody@example.com")])
    assert done.state == pb.Import.STATE_DONE
    assert (done.rows, done.digests_kept, done.refused, done.people_checked, done.people_matched) == (2, 2, 0, 3, 1)
    assert await stopped(world, ANN, BOB) == [ANN]
    done = await listed(world, [md5(BOB)], format="md5", column="email_md5")
    assert (done.digests_kept, done.people_matched) == (1, 1)
    assert await stopped(world, ANN, BOB, "eve@example.com") == [ANN, BOB]
    assert {source for source, _ in world.consent.suppressed.values()} == {"the old provider"}


@promise("M6")
@pytest.mark.parametrize("way", ["import", "put", "join", "address change", "resolved before something opens"])
async def test_who_comes_later_is_stopped_at_entry(world: Any, way: str) -> None:
    list_id = await world.make_list()
    await listed(world, [sha256(ANN)])
    await listed(world, [md5(BOB)], format="md5")
    for address in ("Ann@example.com", "BOB@example.com"):
        if way == "import":
            await world.imported(list_id, f"email\n{address}\neve@example.com\n".encode())
        elif way == "put":
            await put(world, address, list_ids=[list_id])
        elif way == "join":
            await world.stub(as_service="consent").JoinList(pb.JoinListRequest(address=address, list_id=list_id))
        elif way == "address change":
            was = await put(world, "new-" + address, list_ids=[list_id])
            await put(world, address, subscriber_id=was.subscriber_id, list_ids=[list_id])
        else:
            await key_of(world, address, opening=True)
    assert await stopped(world, ANN, BOB, "eve@example.com", "new-ann@example.com") == [ANN, BOB]


@promise("M6")
async def test_a_try_again_meets_the_list_too(world: Any) -> None:
    await listed(world, [sha256(ANN)])
    world.consent.away = True
    with pytest.raises(Unavailable):
        await put(world, ANN)
    world.consent.away = False
    await put(world, ANN)
    assert await stopped(world, ANN) == [ANN]


async def test_to_ask_who_is_meant_stops_nobody(world: Any) -> None:
    await listed(world, [sha256(ANN)])
    await key_of(world, ANN)
    assert not world.consent.suppressed


@promise("M6")
async def test_nobody_of_a_list_is_in_an_audience_before_they_are_stopped(world: Any) -> None:
    list_id = await world.make_list()
    await listed(world, [sha256(ANN), sha256(BOB)])
    world.consent.away = True
    with pytest.raises(Unavailable):
        await put(world, ANN, list_ids=[list_id])
    assert await world.audience(list_id) == []
    before = world.consent.stops
    started = await world.upload(list_id, f"email\n{BOB}\n".encode())
    async with patience():
        while world.consent.stops == before:
            await asyncio.sleep(0.01)
    assert await world.audience(list_id) == []
    world.consent.away = False
    assert (await world.finished(started)).rows == 1
    assert await stopped(world, BOB) == [BOB]


@promise("M6")
@pytest.mark.parametrize("order", ORDERS, ids="".join)
async def test_whichever_comes_second_sees_the_other(world: Any, monkeypatch: pytest.MonkeyPatch, order: Sequence[str]) -> None:
    """A person is Written and then Looked up; digests are Kept and then the people gone through (Scanned): in every order."""
    list_id = await world.make_list()
    turns = Turns(order)
    real_keys, real_meet = PersonKeys.ensure, put_subscriber.meet_suppressions
    real_keep, real_go = digest_documents.Digests.keep, run_import.go_through

    async def keys(*of: Any) -> Any:  # what a person is written under
        await turns.wait("w")
        return await real_keys(*of)

    async def meet(*of: Any) -> None:
        await turns.done("w")
        await turns.wait("l")
        await real_meet(*of)
        await turns.done("l")

    async def keep(*of: Any) -> Any:
        await turns.wait("k")
        kept = await real_keep(*of)
        await turns.done("k")
        return kept

    async def go(*of: Any) -> Any:
        await turns.wait("s")
        gone = await real_go(*of)
        await turns.done("s")
        return gone

    monkeypatch.setattr(PersonKeys, "ensure", keys)
    monkeypatch.setattr(put_subscriber, "meet_suppressions", meet)
    monkeypatch.setattr(digest_documents.Digests, "keep", keep)
    monkeypatch.setattr(run_import, "go_through", go)
    async with patience(), asyncio.TaskGroup() as both:
        both.create_task(put(world, ANN, list_ids=[list_id]))
        both.create_task(listed(world, [sha256(ANN)]))
    assert await stopped(world, ANN) == [ANN]


@promise("M6")
async def test_nobody_slips_between_imports_of_people_and_of_digests_that_run_together(world: Any) -> None:
    list_id = await world.make_list()
    people = [f"p{number}@example.com" for number in range(300)]
    imports = [("\n".join(["email", *people[start::3], ""])).encode() for start in range(3)]
    async with asyncio.timeout(60), asyncio.TaskGroup() as together:
        for number, data in enumerate(imports):
            together.create_task(world.imported(list_id, data))
            part = [sha256(address) for address in people[number * 100 : number * 100 + 100]]
            together.create_task(listed(world, part))
    assert await stopped(world, *people) == people


@promise("M6")
async def test_a_digest_does_its_work_once_so_that_what_a_person_says_later_stands(world: Any) -> None:
    list_id = await world.make_list()
    await listed(world, [sha256(ANN)])
    ann = await put(world, ANN)
    assert world.consent.stops == 1
    await put(world, ANN, subscriber_id=ann.subscriber_id, fields={"name": "Ann"})
    await world.imported(list_id, f"email\n{ANN}\n".encode())
    assert world.consent.stops == 1
    done = await listed(world, [sha256(ANN)])
    assert (done.people_matched, world.consent.stops) == (1, 2), "a later list stops her once more"


async def test_the_digests_of_one_customer_stop_nobody_of_another(world: Any) -> None:
    await listed(world, [sha256(ANN)], tenant_id="ten_b")
    await put(world, ANN)
    assert await stopped(world, ANN) == []


async def test_who_has_no_digests_pays_for_no_look_up(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    list_id = await world.make_list()
    asked = 0
    real = digest_documents.Digests.algorithms

    async def algorithms(*of: Any) -> Any:
        nonlocal asked
        asked += 1
        return await real(*of)

    async def find(*of: Any) -> Any:
        raise AssertionError("a digest was looked up")

    monkeypatch.setattr(digest_documents.Digests, "algorithms", algorithms)
    monkeypatch.setattr(digest_documents.Digests, "find", find)
    rows = b"email\n" + b"".join(b"p%d@example.com\n" % number for number in range(3000))
    assert (await world.imported(list_id, rows)).added == 3000
    assert asked == 3, "before the batch was judged, and after each of its two stretches was written"


async def test_rows_that_are_no_digests_are_named_and_digests_are_never_shown(world: Any) -> None:
    rows = [sha256(ANN), "", md5(ANN), ANN, "z" * 64, sha256(ANN).upper(), sha256(BOB)]
    done = await listed(world, rows)
    assert (done.rows, done.digests_kept, done.refused) == (6, 2, 4)
    assert dict(done.refused_by_reason) == {"not_a_digest": 3, "duplicate_in_file": 1}
    report = list(csv.reader(io.StringIO(await world.report(done.import_id))))
    assert [row[:2] for row in report[1:]] == [
        ["4", "not_a_digest"], ["5", "not_a_digest"], ["6", "not_a_digest"], ["7", "duplicate_in_file"],
    ]  # fmt: skip
    assert sha256(ANN) not in str(report).lower()


async def test_a_digest_far_down_the_file_is_known_as_a_duplicate(world: Any) -> None:
    rows = [sha256(str(number)) for number in range(4500)]
    done = await listed(world, [*rows, rows[0]])
    assert (done.rows, done.digests_kept, dict(done.refused_by_reason)) == (4501, 4500, {"duplicate_in_file": 1})


@promise("M6")
async def test_what_is_kept_of_a_digest_is_not_the_digest(world: Any) -> None:
    rows = [sha256(ANN), sha256(BOB)]
    await listed(world, rows)
    pages = world.backing.store("subscribers").collection("suppressed_digests").scan()
    names = [document["_id"].partition("/")[2] async for page in pages for document in page]
    assert sum(map(bool, names)) == 2
    await world.stop()
    kept = [*_files(world.state), *map(to_bytes, names)]
    for row in rows:
        assert not any(part in data for data in kept for part in (row.encode(), bytes.fromhex(row)))


def _files(folder: Path) -> list[bytes]:
    return [file.read_bytes() for file in folder.rglob("*") if file.is_file()]


@promise("M6")
async def test_a_list_that_was_broken_off_goes_on_where_it_was(world: Any) -> None:
    list_id = await world.make_list()
    await world.imported(list_id, b"email\n" + b"".join(b"p%d@example.com\n" % number for number in range(50)))
    world.consent.away = True
    suppress = pb.ImportSuppression(source="the old provider", format="sha256")
    data = "\n".join(["sha256", *(sha256(f"p{number}@example.com") for number in range(0, 50, 2))]).encode()
    started = await world.upload("", data, consent=False, suppress=suppress)
    async with patience():
        while (await world.stub().GetImport(pb.GetImportRequest(import_id=started.import_id))).digests_kept < 25:
            await asyncio.sleep(0.01)
    await world.stop()
    world.consent.away = False
    await world.start()
    done = await world.finished(started)
    assert (done.digests_kept, done.people_checked, done.people_matched) == (25, 50, 25)
    assert len(world.consent.suppressed) == 25


async def test_the_format_of_a_list_is_one_of_three(world: Any) -> None:
    with pytest.raises(Invalid) as refused:
        await listed(world, [], format="sha1")
    assert [one.field for one in refused.value.fields] == ["suppress.format"]


def test_an_address_is_hashed_in_lower_case_and_an_international_domain_in_both_its_forms() -> None:
    assert list(digests_of(spellings("Ann@example.com"), ["md5", "sha256"])) == [
        ("md5", bytes.fromhex(md5(ANN))),
        ("sha256", bytes.fromhex(sha256(ANN))),
    ]
    found = {digest.hex() for _, digest in digests_of(spellings(normalise("ann@BÜCHER.example")), ["sha256"])}
    assert found == {sha256("ann@bücher.example"), sha256("ann@xn--bcher-kva.example")}


def test_a_digest_is_read_in_either_case_and_of_its_own_length_alone() -> None:
    assert read_digest("sha256", sha256(ANN).upper()) == read_digest("sha256", sha256(ANN)) == bytes.fromhex(sha256(ANN))
    assert read_digest("md5", sha256(ANN)) is read_digest("sha256", md5(ANN)) is read_digest("md5", "g" * 32) is None
    assert read_digest("md5", " ".join(md5(ANN)[start : start + 2] for start in range(0, 22, 2))) is None, "blanks are no hex"
    assert is_digest(md5(ANN)) and not is_digest("0" * 40)


def test_what_is_kept_of_a_digest_depends_on_the_customers_key_and_on_the_algorithm() -> None:
    one, other = AddressIndex(1, b"1" * 32), AddressIndex(1, b"2" * 32)
    digest = bytes.fromhex(md5(ANN))
    keys = {one.key_of_digest("md5", digest), one.key_of_digest("sha256", digest), other.key_of_digest("md5", digest), one.key_of(ANN)}
    assert len(keys) == 4
