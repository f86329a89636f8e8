"""An import: whom it makes and changes, on which list, and with which consent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from postlaw.subscribers.v1 import subscribers_pb2 as pb
from postlaw_common.keys.customer import CustomerKeys
from postlaw_common.testing.promises import promise
from postlaw_subscribers.person_keys import KEY_DATABASE, PersonKeys

from .import_files import PEOPLE, counts, rows


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
