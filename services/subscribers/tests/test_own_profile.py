"""A person's own page: what it shows of them, what they can change there, and what the log says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from postlaw.identity.v1 import context_pb2
from postlaw.subscribers.v1 import subscribers_pb2 as pb
from postlaw.subscribers.v1 import subscribers_pb2_grpc
from postlaw_common.caller import Actor
from postlaw_common.errors import Conflict, Denied, Invalid, NotFound, VersionMismatch
from postlaw_common.testing.promises import promise

if TYPE_CHECKING:
    from .conftest import World

JANE = "jane@example.com"
FIELDS = {"first_name": "Jane", "city": "Graz", "score": "7"}


def own(world: World, tenant_id: str = "ten_a", *, as_service: str = "consent") -> Any:
    """As consent asks, for the person."""
    caller = world.mesh.caller(
        tenant_id, ("subscribers:read", "subscribers:write"), actor=Actor("service", "consent"), on_behalf_of=Actor("person", "01ab")
    )
    return subscribers_pb2_grpc.SubscribersServiceStub(world.mesh.channel("subscribers", as_service=as_service, caller=caller))


async def shown_list(world: World, *fields: str) -> str:
    list_id = await world.make_list()
    await world.stub().SetProfileFields(pb.SetProfileFieldsRequest(list_id=list_id, profile_fields=fields))
    return list_id


async def put(world: World, list_ids: list[str], address: str = JANE, **more: Any) -> pb.Subscriber:
    return await world.stub().PutSubscriber(pb.PutSubscriberRequest(address=address, fields=FIELDS, list_ids=list_ids, **more))


def correction(person: pb.Subscriber, *, address: str = "", if_version: int = 0, **fields: str) -> pb.CorrectProfileRequest:
    told = [pb.ProfileField(name=name, value=value) for name, value in fields.items()]
    return pb.CorrectProfileRequest(subscriber_id=person.subscriber_id, fields=told, address=address, if_version=if_version)


@promise("G4")
async def test_a_person_sees_the_fields_that_their_lists_show_and_no_other(world: World) -> None:
    one, two, other = [await shown_list(world, *names) for names in (("city", "phone"), ("first_name", "city"), ("score",))]
    person = await put(world, sorted([one, two]))
    found = await own(world).GetProfile(pb.GetProfileRequest(subscriber_id=person.subscriber_id))
    assert {field.name: field.value for field in found.fields} == {"city": "Graz", "phone": "", "first_name": "Jane"}
    assert found.address == JANE
    assert await own(world).GetProfile(pb.GetProfileRequest(address_key=found.address_key)) == found
    assert other not in person.list_ids


@promise("G4")
async def test_a_correction_is_at_once_what_campaigns_use_and_the_log_names_the_person_and_no_value(world: World) -> None:
    list_id = await shown_list(world, "first_name", "city")
    person = await put(world, [list_id])
    corrected = await own(world).CorrectProfile(correction(person, first_name=" Janet ", city=""))
    assert {field.name: field.value for field in corrected.fields} == {"first_name": "Janet", "city": ""}
    [member] = await world.audience(list_id)
    assert dict(member.fields) == {"first_name": "Janet", "score": "7"}
    changes = [pb.SubscriberChanged.FromString(event.data) for event in await world.events() if event.type.endswith("SubscriberChanged")]
    assert list(changes[-1].changed) == ["fields.city", "fields.first_name"]
    assert changes[-1].on_behalf_of == context_pb2.Actor(kind=context_pb2.Actor.KIND_PERSON, id="01ab")
    assert not changes[0].HasField("on_behalf_of")
    assert b"Janet" not in changes[-1].SerializeToString()


@promise("G4")
async def test_what_is_not_shown_is_not_the_persons_to_change(world: World) -> None:
    person = await put(world, [await shown_list(world, "city")])
    with pytest.raises(Invalid):
        await own(world).CorrectProfile(correction(person, city="Wien", score="99"))
    assert (await world.stub().GetSubscriber(pb.GetSubscriberRequest(subscriber_id=person.subscriber_id))).version == person.version


async def test_a_page_that_is_older_than_the_person_changes_nothing_and_the_same_again_adds_nothing(world: World) -> None:
    person = await put(world, [await shown_list(world, "city")])
    first = await own(world).CorrectProfile(correction(person, if_version=person.version, city="Wien"))
    with pytest.raises(VersionMismatch):
        await own(world).CorrectProfile(correction(person, if_version=person.version, city="Linz"))
    assert (await own(world).CorrectProfile(correction(person, city="Wien"))).version == first.version


@promise("G4")
async def test_another_address_keeps_the_id_and_takes_nobody_elses(world: World) -> None:
    list_id = await shown_list(world, "city")
    person = await put(world, [list_id])
    await put(world, [list_id], "taken@example.com")
    with pytest.raises(Conflict):
        await own(world).CorrectProfile(correction(person, address="taken@example.com"))
    for _ in range(2):
        moved = await own(world).CorrectProfile(correction(person, address="new@example.com"))
        assert (moved.subscriber_id, moved.address) == (person.subscriber_id, "new@example.com")
    assert {member.address for member in await world.audience(list_id)} == {"new@example.com", "taken@example.com"}


async def test_nobody_but_consent_asks_and_nobody_elses_person_is_found(world: World) -> None:
    person = await put(world, [await shown_list(world, "city")])
    with pytest.raises(Denied):
        await own(world, as_service="gateway").GetProfile(pb.GetProfileRequest(subscriber_id=person.subscriber_id))
    with pytest.raises(NotFound):
        await own(world, "ten_b").GetProfile(pb.GetProfileRequest(subscriber_id=person.subscriber_id))
    await world.stub().DeleteSubscriber(pb.DeleteSubscriberRequest(subscriber_id=person.subscriber_id))
    with pytest.raises(NotFound):
        await own(world).CorrectProfile(correction(person, city="Wien"))


@promise("G4")
async def test_which_fields_are_shown_is_said_per_list_and_announced(world: World) -> None:
    list_id = await shown_list(world, "city", "city", "first_name")
    again = await world.stub().SetProfileFields(pb.SetProfileFieldsRequest(list_id=list_id, profile_fields=["city", "first_name"]))
    assert (list(again.profile_fields), again.version) == (["city", "first_name"], 2)
    assert [event.type for event in await world.events()] == ["postlaw.subscribers.ListCreated", "postlaw.subscribers.ListChanged"]
    with pytest.raises(Invalid):
        await shown_list(world, "")
    with pytest.raises(NotFound):
        await world.stub("ten_b").SetProfileFields(pb.SetProfileFieldsRequest(list_id=list_id, profile_fields=["city"]))


async def kept(world: World, address_key: bytes) -> str:
    """As the pages ask for it."""
    asked = pb.GetMaskedAddressRequest(tenant_id="ten_a", address_key=address_key)
    return (await world.stub().GetMaskedAddress(asked)).language


@promise("G9")
async def test_a_language_is_kept_for_the_person_whatever_the_customer_changes_and_goes_with_them(world: World) -> None:
    list_id = await shown_list(world, "city")
    person = await put(world, [list_id])
    key = (await own(world).GetProfile(pb.GetProfileRequest(subscriber_id=person.subscriber_id))).address_key
    assert await kept(world, key) == ""
    said = [(await own(world).SetLanguage(pb.SetLanguageRequest(address_key=key, language="de"))).already for _ in range(2)]
    assert said == [False, True]
    changed = pb.PutSubscriberRequest(subscriber_id=person.subscriber_id, address=JANE, fields={"city": "Linz"}, list_ids=[list_id])
    await world.stub().PutSubscriber(changed)  # sets everything else to exactly what it says
    assert await kept(world, key) == "de"
    assert (await world.stub().GetSubscriber(pb.GetSubscriberRequest(subscriber_id=person.subscriber_id))).language == "de"
    joining = world.mesh.channel("subscribers", as_service="consent", caller=world.mesh.caller("ten_a", ("subscribers:write",)))
    joined = await subscribers_pb2_grpc.SubscribersServiceStub(joining).JoinList(pb.JoinListRequest(address=JANE, list_id=list_id))
    assert joined.language == "de"
    stored = [document async for page in world.backing.store("subscribers").collection("people").scan() for document in page]
    assert b"de" not in stored[0]["language"] and stored[0]["language"]

    moved = await own(world).CorrectProfile(correction(person, address="new@example.com"))
    assert await kept(world, moved.address_key) == "de"
    await world.stub().DeleteSubscriber(pb.DeleteSubscriberRequest(subscriber_id=person.subscriber_id))
    assert await kept(world, moved.address_key) == ""
    with pytest.raises(NotFound):
        await own(world).SetLanguage(pb.SetLanguageRequest(address_key=moved.address_key, language="de"))
    changes = [pb.SubscriberChanged.FromString(event.data) for event in await world.events() if event.type.endswith("SubscriberChanged")]
    assert [list(change.changed) for change in changes[1:]] == [
        ["language"],
        ["fields.city", "fields.first_name", "fields.score"],
        ["address"],
    ]
