"""A list and an import are made once under an idempotency key: the gateway may have died before it could note that they were."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from postlaw.subscribers.v1 import subscribers_pb2 as pb
from postlaw_common.errors import Invalid, KeyReused, NotFound
from postlaw_subscribers.jobs import IMPORTS

CSV = b"email,name\nann@example.com,Ann\nbob@example.com,Bob\n"


async def make(world: Any, key: str, name: str = "News", tenant_id: str = "ten_a") -> pb.List:
    return await world.stub(tenant_id).CreateList(pb.CreateListRequest(name=name, idempotency_key=key))


async def lists_of(world: Any, tenant_id: str = "ten_a") -> list[str]:
    return [found.list_id for found in (await world.stub(tenant_id).ListLists(pb.ListListsRequest())).lists]


async def imports(world: Any) -> int:
    return await world.backing.store("subscribers").collection(IMPORTS.name).count()


async def nothing_uploaded(world: Any) -> bool:
    return [key async for key in world.backing.blobs.keys("imports/")] == []


async def test_the_same_list_is_made_once_also_by_many_at_once(world: Any) -> None:
    made = await asyncio.gather(*(make(world, "k") for _ in range(5)))
    assert [list_.list_id for list_ in made] == await lists_of(world) * 5
    assert await make(world, "k") == made[0], "the same answer, to the last field"
    assert [event.type for event in await world.events()] == ["postlaw.subscribers.ListCreated"]


async def test_a_key_counts_within_its_customer_and_without_one_every_list_is_new(world: Any) -> None:
    assert (await make(world, "k")).list_id != (await make(world, "k", tenant_id="ten_b")).list_id
    await make(world, "")
    await make(world, "")
    assert (len(await lists_of(world)), len(await lists_of(world, "ten_b"))) == (3, 1)


async def test_a_list_has_the_brand_that_it_was_made_with_and_tells_it(world: Any) -> None:
    made = await world.stub().CreateList(pb.CreateListRequest(name="News", brand="Acme & Söhne", idempotency_key="k"))
    assert made.brand == "Acme & Söhne"
    assert (await world.stub().GetList(pb.GetListRequest(list_id=made.list_id))).brand == made.brand
    [event] = await world.events()
    assert pb.ListCreated.FromString(event.data).list == made
    with pytest.raises(KeyReused):
        await world.stub().CreateList(pb.CreateListRequest(name="News", brand="Other", idempotency_key="k"))


async def test_a_list_has_a_time_zone_that_there_is_and_tells_of_its_changes(world: Any) -> None:
    made = await world.stub().CreateList(pb.CreateListRequest(name="News", time_zone="Asia/Tokyo", idempotency_key="k"))
    with pytest.raises(KeyReused):
        await world.stub().CreateList(pb.CreateListRequest(name="News", time_zone="Europe/Berlin", idempotency_key="k"))
    asked = pb.SetListTimeZoneRequest(list_id=made.list_id, time_zone="Europe/Berlin")
    changed = await world.stub().SetListTimeZone(asked)
    assert (made.time_zone, changed.time_zone, changed.version) == ("Asia/Tokyo", "Europe/Berlin", 2)
    assert await world.stub().SetListTimeZone(asked) == changed, "the same again changes nothing"
    assert [event.type for event in await world.events()] == ["postlaw.subscribers.ListCreated", "postlaw.subscribers.ListChanged"]
    for wrong in ("Mars/Base", "../etc/passwd", "Europe"):
        with pytest.raises(Invalid):
            await world.stub().SetListTimeZone(pb.SetListTimeZoneRequest(list_id=made.list_id, time_zone=wrong))
        with pytest.raises(Invalid):
            await world.stub().CreateList(pb.CreateListRequest(name="News", time_zone=wrong))
    with pytest.raises(NotFound):
        await world.stub("ten_b").SetListTimeZone(asked)
    assert (await world.stub().SetListTimeZone(pb.SetListTimeZoneRequest(list_id=made.list_id))).time_zone == ""


@pytest.mark.parametrize("brand", ["a" * 101, "\U0001d538" * 64, "A\ncme"])
async def test_a_name_that_no_link_could_carry_is_no_brand(world: Any, brand: str) -> None:
    with pytest.raises(Invalid):
        await world.stub().CreateList(pb.CreateListRequest(name="News", brand=brand))


async def test_another_list_under_the_same_key_is_refused(world: Any) -> None:
    await make(world, "k")
    with pytest.raises(KeyReused):
        await make(world, "k", name="Other")
    assert len(await lists_of(world)) == 1


async def test_the_same_file_is_imported_once(world: Any, until: Any) -> None:
    list_id = await world.make_list()
    first = await world.finished(await world.upload(list_id, CSV, idempotency_key="k"))
    await until(lambda: nothing_uploaded(world))
    again = await world.upload(list_id, CSV, idempotency_key="k")
    assert again == first, "as it is now: done, with its counts"
    assert await imports(world) == 1
    assert await nothing_uploaded(world), "the second upload is not kept"


async def test_the_same_file_uploaded_by_two_at_once_is_imported_once(world: Any) -> None:
    list_id = await world.make_list()
    both = await asyncio.gather(*(world.upload(list_id, CSV * 5000, idempotency_key="k") for _ in range(2)))
    assert both[0].import_id == both[1].import_id
    done = await world.finished(both[0])
    assert (done.state, done.added, await imports(world)) == (pb.Import.STATE_DONE, 2, 1)


@pytest.mark.parametrize("changed", [{"data": CSV + b"eve@example.com,Eve\n"}, {"filename": "other.csv"}, {"consent": False}])
async def test_another_file_or_other_settings_under_the_same_key_are_refused(world: Any, until: Any, changed: dict[str, Any]) -> None:
    list_id = await world.make_list()
    await world.finished(await world.upload(list_id, CSV, idempotency_key="k"))
    await until(lambda: nothing_uploaded(world))
    with pytest.raises(KeyReused):
        await world.upload(list_id, **{"data": CSV, "idempotency_key": "k"} | changed)
    assert (await imports(world), await nothing_uploaded(world)) == (1, True)


async def test_a_file_in_a_wrong_encoding_is_refused_once_however_it_is_cut_into_pieces(world: Any) -> None:
    list_id = await world.make_list()
    wrong = CSV + b"\xff\xfe,broken\n" + CSV * 10_000
    first = await world.upload(list_id, wrong, idempotency_key="k")
    assert first.state == pb.Import.STATE_FAILED
    world.piece = 70_000
    assert (await world.upload(list_id, wrong, idempotency_key="k")).import_id == first.import_id
