"""What keeps one person, and one customer, from another: keys of their own, seals that cannot be moved, deletion that is one."""

from __future__ import annotations

from typing import Any

import pytest

from postlaw.subscribers.v1 import subscribers_pb2 as pb
from postlaw_common.crypto import open_sealed
from postlaw_common.errors import NotFound, PostlawError
from postlaw_common.keys.customer import CustomerKeys
from postlaw_common.store import VersionConflict
from postlaw_common.testing.promises import promise
from postlaw_subscribers.members import MEMBERS, member_id
from postlaw_subscribers.people import PEOPLE
from postlaw_subscribers.person_keys import KEY_DATABASE, PROFILE_KEY, PROOF_EVIDENCE, PROOF_KEY, PersonKeys, document_id, place
from services.subscribers.tests.by_hand import audience, delete, get, put


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
    document = await platform_store.collection("person_keys").get(document_id("ten_a", resolved.address_key))
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
