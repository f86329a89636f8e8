"""People by hand: versions, lists, another address, deletion; and that no customer sees another's."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from postlaw.subscribers.v1 import subscribers_pb2 as pb
from postlaw_common.bus import BusUnavailable
from postlaw_common.crypto import open_sealed
from postlaw_common.errors import Conflict, Invalid, NotFound, PostlawError, VersionMismatch
from postlaw_common.keys.customer import CustomerKeys
from postlaw_common.store import VersionConflict
from postlaw_common.testing.promises import promise
from postlaw_subscribers.domain.person import Person
from postlaw_subscribers.members import MEMBERS, Members, member_id
from postlaw_subscribers.people import PEOPLE
from postlaw_subscribers.person_keys import KEY_DATABASE, PROFILE_KEY, PROOF_EVIDENCE, PROOF_KEY, PersonKeys, place


async def put(world: Any, address: str, *, tenant_id: str = "ten_a", **more: Any) -> pb.Subscriber:
    return await world.stub(tenant_id).PutSubscriber(pb.PutSubscriberRequest(address=address, **more))


async def get(world: Any, id: str, tenant_id: str = "ten_a") -> pb.Subscriber:
    return await world.stub(tenant_id).GetSubscriber(pb.GetSubscriberRequest(subscriber_id=id))


async def delete(world: Any, id: str, **more: Any) -> None:
    await world.stub().DeleteSubscriber(pb.DeleteSubscriberRequest(subscriber_id=id, **more))


async def audience(world: Any, list_id: str) -> dict[str, dict[str, str]]:
    return {member.address: dict(member.fields) for member in await world.audience(list_id)}


async def test_put_sets_exactly_what_it_says_and_counts_versions(world: Any) -> None:
    first, second = await world.make_list(), await world.make_list()
    made = await put(world, "Ann@Example.com", fields={"name": "Ann", "city": "Graz"}, list_ids=[first])
    assert (made.version, made.address) == (1, "Ann@example.com")
    again = await put(world, "ann@example.com", fields={"name": "Anna"}, list_ids=[second])
    assert again.subscriber_id == made.subscriber_id
    assert again.version == 2
    assert await get(world, made.subscriber_id) == again
    assert await audience(world, first) == {}
    assert await audience(world, second) == {"ann@example.com": {"name": "Anna"}}
    assert await put(world, "ann@example.com", fields={"name": "Anna"}, list_ids=[second]) == again, "no change, no new version"


async def test_a_change_is_refused_at_another_version(world: Any) -> None:
    made = await put(world, "ann@example.com")
    await put(world, "ann@example.com", fields={"a": "b"}, if_version=1)
    with pytest.raises(VersionMismatch):
        await put(world, "ann@example.com", fields={"a": "c"}, if_version=1)
    with pytest.raises(VersionMismatch):
        await delete(world, made.subscriber_id, if_version=1)
    with pytest.raises(VersionMismatch):
        await put(world, "new@example.com", if_version=1)


async def test_wrong_input_is_refused(world: Any) -> None:
    with pytest.raises(Invalid):
        await put(world, "not an address")
    with pytest.raises(Invalid):
        await put(world, "ann@example.com", fields={"a": "x" * 20_000})
    with pytest.raises(Invalid):
        await put(world, "ann@example.com", fields={"a": "x\0"})
    with pytest.raises(NotFound):
        await put(world, "ann@example.com", list_ids=["lst_nowhere"])
    with pytest.raises(NotFound):
        await put(world, "ann@example.com", subscriber_id="sub_nobody")


@promise("G4")
async def test_another_address_keeps_the_person_and_frees_the_old_one(world: Any) -> None:
    list_id = await world.make_list()
    made = await put(world, "old@example.com", fields={"name": "Ann"}, list_ids=[list_id])
    moved = await put(world, "new@example.com", subscriber_id=made.subscriber_id, fields={"name": "Ann"}, list_ids=[list_id])
    assert moved.subscriber_id == made.subscriber_id
    assert (await get(world, made.subscriber_id)).address == "new@example.com"
    assert await audience(world, list_id) == {"new@example.com": {"name": "Ann"}}
    stranger = await put(world, "old@example.com", fields={"name": "Eve"})
    assert stranger.subscriber_id != made.subscriber_id
    with pytest.raises(Conflict):
        await put(world, "old@example.com", subscriber_id=made.subscriber_id)
    await delete(world, stranger.subscriber_id)
    back = await put(world, "old@example.com", subscriber_id=made.subscriber_id, fields={"name": "Ann"}, list_ids=[list_id])
    assert back.subscriber_id == made.subscriber_id
    assert await get(world, made.subscriber_id) == back
    assert await audience(world, list_id) == {"old@example.com": {"name": "Ann"}}


@promise("G5")
async def test_deletion_destroys_the_profile_key_and_keeps_the_proof_key(world: Any) -> None:
    list_id = await world.make_list()
    made = await put(world, "ann@example.com", fields={"name": "Ann"}, list_ids=[list_id])
    consent = world.mesh.channel("subscribers", as_service="consent", caller=world.mesh.caller("ten_a"))
    stub = type(world.stub())(consent)
    resolved = await stub.ResolvePerson(
        pb.ResolvePersonRequest(subscriber_id=made.subscriber_id, profile_evidence=b"192.0.2.1", proof_evidence=b"ticked the box")
    )
    platform_store = world.backing.store(KEY_DATABASE)
    keys = PersonKeys(platform_store, CustomerKeys(platform_store, world.backing.root_key))
    wrapping = await keys.wrapping("ten_a")
    document = await platform_store.collection("person_keys").get(f"ten_a/{resolved.address_key.hex()}")
    wrapped = document["profile"]
    await delete(world, made.subscriber_id)
    with pytest.raises(NotFound):
        await get(world, made.subscriber_id)
    assert await world.audience(list_id) == []
    kept = await platform_store.collection("person_keys").get(document["_id"])
    assert kept["profile"] is None
    proof = wrapping.unwrap(kept["proof"], resolved.address_key, PROOF_KEY)
    sealed = resolved.sealed_proof_evidence
    assert open_sealed(proof, sealed, place("ten_a", resolved.address_key, PROOF_EVIDENCE)) == b"ticked the box"
    again = await put(world, "ann@example.com", list_ids=[list_id])
    assert again.subscriber_id != made.subscriber_id, "whoever comes later is another person"
    renewed = await platform_store.collection("person_keys").get(document["_id"])
    assert wrapping.unwrap(renewed["profile"], resolved.address_key, PROFILE_KEY) != wrapping.unwrap(
        wrapped, resolved.address_key, PROFILE_KEY
    )
    with pytest.raises(NotFound):
        await get(world, made.subscriber_id)


async def test_a_deleted_person_imported_again_is_a_new_one(world: Any) -> None:
    list_id = await world.make_list()
    await world.imported(list_id, b"email\nann@example.com\n")
    [before] = await world.audience(list_id)
    await delete(world, before.subscriber_id)
    done = await world.imported(list_id, b"email\nann@example.com\n")
    assert (done.added, done.refused) == (1, 0)
    [after] = await world.audience(list_id)
    assert after.subscriber_id != before.subscriber_id
    assert after.address_key == before.address_key


@promise("X2")
async def test_another_customers_things_are_not_there(world: Any) -> None:
    list_id = await world.make_list()
    made = await put(world, "ann@example.com", list_ids=[list_id])
    done = await world.imported(list_id, b"email\nbob@example.com\n")
    other = world.stub("ten_b")
    sending = world.stub("ten_b", as_service="sending")
    for refused in (
        other.GetSubscriber(pb.GetSubscriberRequest(subscriber_id=made.subscriber_id)),
        other.DeleteSubscriber(pb.DeleteSubscriberRequest(subscriber_id=made.subscriber_id)),
        other.PutSubscriber(pb.PutSubscriberRequest(subscriber_id=made.subscriber_id, address="x@example.com")),
        other.PutSubscriber(pb.PutSubscriberRequest(address="x@example.com", list_ids=[list_id])),
        other.GetList(pb.GetListRequest(list_id=list_id)),
        other.GetImport(pb.GetImportRequest(import_id=done.import_id)),
        other.CancelImport(pb.GetImportRequest(import_id=done.import_id)),
        other.ResolvePerson(pb.ResolvePersonRequest(subscriber_id=made.subscriber_id)),
        world.upload(list_id, b"email\n", tenant_id="ten_b"),
    ):
        with pytest.raises(NotFound):
            await refused
    with pytest.raises(NotFound):
        async for _ in sending.StreamAudience(pb.StreamAudienceRequest(list_id=list_id)):
            pass
    with pytest.raises(NotFound):
        async for _ in other.GetImportErrors(pb.GetImportRequest(import_id=done.import_id)):
            pass
    assert list((await other.ListLists(pb.ListListsRequest())).lists) == []
    theirs = await put(world, "ann@example.com", tenant_id="ten_b")
    assert theirs.subscriber_id != made.subscriber_id
    resolved = await world.stub("ten_b").ResolvePerson(pb.ResolvePersonRequest(address="ann@example.com"))
    ours = await world.stub("ten_a").ResolvePerson(pb.ResolvePersonRequest(address="ann@example.com"))
    assert resolved.address_key != ours.address_key, "each customer has an index key of their own"


async def test_sealed_values_cannot_be_moved_to_another_person(world: Any) -> None:
    """Whoever can write both stores gives Ann the profile of Bob, and his wrapped key with it: it cannot be read."""
    ann, bob = await put(world, "ann@example.com"), await put(world, "bob@example.com")
    people = world.backing.store("subscribers").collection(PEOPLE.name)
    keys = world.backing.store(KEY_DATABASE).collection("person_keys")
    ids = {d["subscriber_id"]: d["_id"] async for page in people.scan() for d in page}
    for collection in (people, keys):
        theirs = await collection.get(ids[bob.subscriber_id])
        while True:
            ours = await collection.get(ids[ann.subscriber_id])
            try:
                await collection.replace({**ours, "profile": theirs["profile"]}, version=ours["v"])
            except VersionConflict:  # the outbox cleared its mark in between
                continue
            break
    with pytest.raises(PostlawError) as refused:
        await get(world, ann.subscriber_id)
    assert not isinstance(refused.value, NotFound)


async def test_lists_come_in_pages(world: Any) -> None:
    made = [await world.make_list(name=f"List {i}") for i in range(5)]
    seen: list[str] = []
    token = ""
    while True:
        page = await world.stub().ListLists(pb.ListListsRequest(page_size=2, page_token=token))
        seen += [each.list_id for each in page.lists]
        token = page.next_page_token
        if not token:
            break
    assert seen == made


async def test_an_audience_comes_in_pages_by_partition_and_goes_on_after_a_key(world: Any) -> None:
    list_id = await world.make_list()
    data = b"email\n" + b"".join(b"p%d@example.com\n" % i for i in range(200))
    await world.imported(list_id, data)
    stub = world.stub(as_service="sending")
    seen: set[bytes] = set()
    for partition in range(4):
        request = pb.StreamAudienceRequest(list_id=list_id, partition=partition, page_size=10)
        pages = [page async for page in stub.StreamAudience(request)]
        keys = [key for page in pages for key in page.address_keys]
        assert keys == sorted(keys)
        assert all(len(page.address_keys) == 10 for page in pages[:-1])
        assert all(world.backing.placement().partition("ten_a", key) == partition for key in keys)
        request.after_address_key = keys[14]
        rest = [page async for page in stub.StreamAudience(request)]
        assert [key for page in rest for key in page.address_keys] == keys[15:]
        people = [member.address_key for page in rest for member in pb.AudiencePeople.FromString(page.people).members]
        assert people == keys[15:]
        seen |= set(keys)
    assert len(seen) == 200
    with pytest.raises(Invalid):
        async for _ in stub.StreamAudience(pb.StreamAudienceRequest(list_id=list_id, partition=4)):
            pass


async def test_a_copy_moved_to_another_person_or_list_is_not_believed_and_costs_nobody_else(world: Any) -> None:
    first, second = await world.make_list(), await world.make_list()
    await put(world, "ann@example.com", list_ids=[first])
    await put(world, "bob@example.com", list_ids=[first, second])
    members = world.backing.store(KEY_DATABASE).collection(MEMBERS.name)
    of_first = sorted(await world.audience(first), key=lambda member: member.address)
    partition = world.backing.placement().partition
    ann, bob = [await members.get(member_id(first, partition("ten_a", one.address_key), one.address_key)) for one in of_first]
    await members.replace(bob | {"copy": ann["copy"]}, version=1)
    assert await audience(world, first) == {"ann@example.com": {}}
    await members.insert({"_id": ann["_id"].replace(first, second), "copy": ann["copy"]})
    assert await audience(world, second) == {"bob@example.com": {}}


async def test_people_are_opened_again_for_a_retry_without_those_who_are_gone(world: Any) -> None:
    ann, bob = await put(world, "ann@example.com", fields={"name": "Ann"}), await put(world, "bob@example.com")
    keys = [
        (await world.stub().ResolvePerson(pb.ResolvePersonRequest(subscriber_id=each.subscriber_id))).address_key for each in (ann, bob)
    ]
    await delete(world, bob.subscriber_id)
    page = await world.stub(as_service="sending").OpenPeople(pb.OpenPeopleRequest(address_keys=[*keys, b"x" * 33]))
    [member] = page.members
    assert (member.address, dict(member.fields), member.subscriber_id) == ("ann@example.com", {"name": "Ann"}, ann.subscriber_id)


async def test_evidence_about_somebody_unknown_is_sealed_under_keys_of_theirs(world: Any) -> None:
    stub = world.stub()
    first = await stub.ResolvePerson(pb.ResolvePersonRequest(address="ann@example.com", proof_evidence=b"x"))
    assert first.subscriber_id == ""
    assert first.sealed_proof_evidence
    list_id = await world.make_list()
    done = await world.imported(list_id, b"email\nann@example.com\n")
    assert done.added == 1
    second = await stub.ResolvePerson(pb.ResolvePersonRequest(address="ANN@example.com"))
    assert second.address_key == first.address_key
    assert second.subscriber_id


@promise("A1")
async def test_changes_are_announced_by_name_and_never_by_value(world: Any) -> None:
    list_id = await world.make_list()
    made = await put(world, "ann@example.com", fields={"name": "Ann"}, list_ids=[list_id])
    await put(world, "ann@example.com", fields={"name": "Anna"}, list_ids=[])
    await delete(world, made.subscriber_id)
    events = await world.events()
    assert [event.type.rpartition(".")[2] for event in events] == [
        "ListCreated",
        "SubscriberChanged",
        "SubscriberChanged",
        "SubscriberDeleted",
    ]
    changes = [pb.SubscriberChanged.FromString(event.data) for event in events[1:3]]
    assert [list(change.changed) for change in changes] == [["address", "fields.name", "list_ids"], ["fields.name", "list_ids"]]
    assert [event.sequence for event in events[1:]] == [1, 2, 3]
    assert all(b"Ann" not in event.data and b"ann@" not in event.data for event in events)
    assert {event.actor for event in events} == {"api_key:key_test"}


async def test_a_deletion_that_could_not_be_announced_is_finished_later(world: Any, until: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = await put(world, "ann@example.com")
    bus = world.backing.bus
    publish = bus.publish

    async def away(records: Any) -> list[int]:
        raise BusUnavailable("away")

    monkeypatch.setattr(bus, "publish", away)
    await delete(world, made.subscriber_id)
    monkeypatch.setattr(bus, "publish", publish)
    with pytest.raises(NotFound):
        await get(world, made.subscriber_id)
    people = world.backing.store("subscribers").collection(PEOPLE.name)

    async def cleared() -> bool:
        return await people.count() == 0

    await until(cleared)
    assert (await world.events())[-1].type == "postlaw.subscribers.SubscriberDeleted"


async def test_a_slow_writer_of_an_older_version_leaves_no_copy_behind(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Version 2 puts Ann on a list and sleeps before its copy; version 3 takes her off again; then version 2 goes on."""
    list_id = await world.make_list()
    await put(world, "ann@example.com")
    copy = Members.copy
    go_on = asyncio.Event()

    async def slow(self: Members, person: Person, *more: Any) -> None:
        if person.version == 2:
            await go_on.wait()
        await copy(self, person, *more)

    monkeypatch.setattr(Members, "copy", slow)
    second = asyncio.create_task(put(world, "ann@example.com", list_ids=[list_id]))
    people = world.backing.store("subscribers").collection(PEOPLE.name)
    while not [d async for page in people.scan() for d in page if d["revision"] == 2]:
        await asyncio.sleep(0.01)
    await put(world, "ann@example.com", fields={"n": "3"})
    go_on.set()
    await second
    assert await audience(world, list_id) == {}
