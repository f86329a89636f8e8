"""People by hand: versions, lists, another address; how an audience is read; what is announced."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from postlaw.subscribers.v1 import subscribers_pb2 as pb
from postlaw_common.bus import BusUnavailable
from postlaw_common.errors import Conflict, Invalid, NotFound, VersionMismatch
from postlaw_common.testing.promises import promise
from postlaw_subscribers.domain.person import Person
from postlaw_subscribers.members import Members
from postlaw_subscribers.people import PEOPLE
from services.subscribers.tests.by_hand import audience, delete, get, put


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


async def test_people_are_opened_again_for_a_retry_without_those_who_are_gone(world: Any) -> None:
    ann, bob = await put(world, "ann@example.com", fields={"name": "Ann"}), await put(world, "bob@example.com")
    keys = [
        (await world.stub().ResolvePerson(pb.ResolvePersonRequest(subscriber_id=each.subscriber_id))).address_key for each in (ann, bob)
    ]
    await delete(world, bob.subscriber_id)
    page = await world.stub(as_service="sending").OpenPeople(pb.OpenPeopleRequest(address_keys=[*keys, b"x" * 33]))
    [member] = page.members
    assert (member.address, dict(member.fields), member.subscriber_id) == ("ann@example.com", {"name": "Ann"}, ann.subscriber_id)


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
