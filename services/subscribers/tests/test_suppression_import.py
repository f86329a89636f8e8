"""The import of another provider's suppression list: who is on it is stopped, and nobody becomes known by it."""

from __future__ import annotations

import csv
import hashlib
import io
from typing import Any

import pytest

from postlaw.subscribers.v1 import subscribers_pb2 as pb
from postlaw_common.errors import Denied, Invalid, NotFound
from postlaw_common.testing.promises import promise

LISTED = b"email,reason\nann@example.com,complaint\nno-at-sign,x\nBob@Example.com,bounce\nann@EXAMPLE.com,again\n"
SUPPRESS = pb.ImportSuppression(source="the old provider")


def counts(done: pb.Import) -> tuple[int, int, int, int]:
    return done.rows, done.suppressed, done.already_suppressed, done.refused


async def listed(world: Any, data: bytes = LISTED) -> pb.Import:
    return await world.imported("", data, consent=False, suppress=SUPPRESS)


@promise("M6")
async def test_rows_of_a_suppression_list_become_opt_outs_and_nobody_becomes_a_member(world: Any) -> None:
    list_id = await world.make_list()
    await world.imported(list_id, b"email\nann@example.com\n")
    [ann] = [member.address_key for member in await world.audience(list_id)]
    done = await listed(world)
    assert done.state == pb.Import.STATE_DONE
    assert counts(done) == (4, 2, 0, 2)
    assert (done.added, done.updated, done.unchanged) == (0, 0, 0)
    assert dict(done.refused_by_reason) == {"invalid_address": 1, "duplicate_in_file": 1}
    assert ann in {key for _, key in world.consent.suppressed}
    assert len(world.consent.suppressed) == 2
    assert {source for source, _ in world.consent.suppressed.values()} == {"the old provider"}
    resolved = await world.stub(as_service="gateway").ResolvePerson(pb.ResolvePersonRequest(address="Bob@example.com"))
    assert not resolved.subscriber_id, "a suppression list makes nobody known"
    report = list(csv.reader(io.StringIO(await world.report(done.import_id))))
    assert [row[:2] for row in report[1:]] == [["3", "invalid_address"], ["5", "duplicate_in_file"]]


async def test_the_same_list_again_suppresses_nobody_twice(world: Any) -> None:
    await listed(world)
    assert counts(await listed(world)) == (4, 0, 2, 2)


async def test_a_digest_is_refused_by_its_name_and_stops_nobody_unseen(world: Any) -> None:
    address = b"ann@example.com"
    rows = [hashlib.md5(address).hexdigest(), hashlib.sha256(address).hexdigest().upper(), "0" * 40]
    done = await listed(world, "\n".join(["email", *rows]).encode())
    assert counts(done) == (3, 0, 0, 3)
    assert dict(done.refused_by_reason) == {"digest_of_address": 2, "invalid_address": 1}


async def test_a_row_far_down_the_file_is_known_as_a_duplicate(world: Any) -> None:
    rows = b"email\n" + b"".join(b"p%d@example.com\n" % number for number in range(5000)) + b"p0@example.com\n"
    assert counts(await listed(world, rows)) == (5001, 5000, 0, 1)


async def test_a_list_of_people_needs_a_mailing_list_and_a_suppression_list_has_none(world: Any) -> None:
    list_id = await world.make_list()
    for wrong in ({"list_id": ""}, {"list_id": list_id, "suppress": SUPPRESS, "consent": False}, {"list_id": "", "suppress": SUPPRESS}):
        with pytest.raises(Invalid) as refused:
            await world.upload(wrong["list_id"], b"email\n", **{name: value for name, value in wrong.items() if name != "list_id"})
        assert [one.field for one in refused.value.fields] in (["list_id"], ["consent"])
    with pytest.raises(NotFound):
        await world.upload("lst_gone", b"email\n")


@promise("M6")
async def test_addresses_are_opened_for_their_own_customer_alone_and_only_of_people_who_are_known(world: Any) -> None:
    list_id = await world.make_list()
    await world.imported(list_id, b"email\nann@example.com\n")
    [ann] = [member.address_key for member in await world.audience(list_id)]
    request = pb.GetAddressesRequest(address_keys=[b"\1" * 33, ann])
    for tenant_id, address in (("ten_a", "ann@example.com"), ("ten_b", "")):
        stub = world.stub(tenant_id, scopes=["suppressions:export"], as_service="consent")
        assert list((await stub.GetAddresses(request)).addresses) == ["", address]
    with pytest.raises(Denied):
        await world.stub(as_service="consent").GetAddresses(request)
