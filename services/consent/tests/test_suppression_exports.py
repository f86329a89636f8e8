"""The list of those who said stop leaves only for its own customer, with a purpose, once another has approved, and the log knows."""

from __future__ import annotations

import csv
import io
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from postlaw.consent.v1 import consent_pb2 as pb
from postlaw_common.caller import Actor, Caller, acting_as
from postlaw_common.errors import Conflict, Denied, NotFound
from postlaw_common.testing.promises import promise
from postlaw_consent.domain.suppression_export import TO_BE_TAKEN_WITHIN_US
from postlaw_consent.suppression_exports import EXPORTED

if TYPE_CHECKING:
    from .world import World

State = pb.SuppressionExport.State


def another(world: World) -> Caller:
    return replace(world.caller, actor=Actor("api_key", "key_2"))


async def asked(world: World, **more: str) -> str:
    with acting_as(world.caller):
        request = pb.RequestSuppressionExportRequest(purpose="the authority asks", **more)
        return (await world.consent.RequestSuppressionExport(request, None)).suppression_export_id


async def approved(world: World, by: Caller | None = None) -> str:
    export_id = await asked(world)
    await approve(world, export_id, by or another(world))
    return export_id


async def approve(world: World, export_id: str, by: Caller) -> pb.SuppressionExport:
    with acting_as(by):
        return await world.consent.ApproveSuppressionExport(pb.SuppressionExportRequest(suppression_export_id=export_id), None)


async def taken(world: World, export_id: str, by: Caller | None = None) -> list[dict[str, str]]:
    request = pb.SuppressionExportRequest(suppression_export_id=export_id)
    with acting_as(by or world.caller):
        data = b"".join([chunk.data async for chunk in world.consent.TakeSuppressionExport(request, None)])
    return list(csv.DictReader(io.StringIO(data.decode())))


async def told(world: World) -> list[pb.SuppressionExport]:
    """By the log, in order."""
    records = await world.published(EXPORTED.name)
    exports = [pb.SuppressionExportChanged.FromString(record.value).export for record in records]
    return sorted(exports, key=lambda export: export.version)


async def until_ended(world: World) -> list[pb.SuppressionExport]:
    await world.stop()
    await world.start()
    return await told(world)


@promise("M6")
async def test_the_list_has_everyone_who_said_stop_and_nobody_else(world: World) -> None:
    world.stand_still()
    people = {name: world.person(name) for name in ("all", "one", "brand", "spam", "open", "back", "held", "pausing", "bounced")}
    world.people["ann"] = people["all"]
    for person in people.values():
        await world.given(person)
    await world.withdraw(people["all"], scope=pb.Scope(everything=True))
    await world.withdraw(people["one"])
    await world.withdraw(people["brand"], scope=pb.Scope(brand="Acme"))
    await world.withdraw(people["bounced"], kind=pb.ConsentEvent.KIND_BOUNCED)
    await world.withdraw(people["spam"], kind=pb.ConsentEvent.KIND_COMPLAINED)
    await world.withdraw(people["held"], kind=pb.ConsentEvent.KIND_RESTRICTED)
    await world.withdraw(people["pausing"], kind=pb.ConsentEvent.KIND_PAUSED)
    await world.withdraw(people["back"])
    world.clock_ahead_us += 1_000_000
    await world.given(people["back"], route=pb.ROUTE_PAGE)
    lines = await taken(world, await approved(world))
    keys = {person.hex(): name for name, person in people.items()}
    assert {(keys[line["address_key"]], line["address"], line["scope"], line["reason"]) for line in lines} == {
        ("all", "ann@example.com", "everything", "withdrawn"),
        ("one", "", "list:lst_1", "withdrawn"),
        ("brand", "", "brand:Acme", "withdrawn"),
        ("spam", "", "everything", "complained"),
        ("held", "", "everything", "restricted"),
    }
    assert len(lines) == 5
    assert all(line["since"].endswith("+00:00") for line in lines)


async def test_everybody_of_a_long_list_is_in_it_once(world: World) -> None:
    people = [world.person(str(number)) for number in range(1203)]
    request = pb.SuppressManyRequest(address_keys=people, source="elsewhere", idempotency_key="suppress/imp_1")
    with acting_as(world.caller):
        await world.consent.SuppressMany(request, None)
    lines = await taken(world, await approved(world))
    assert sorted(line["address_key"] for line in lines) == sorted(person.hex() for person in people)


@promise("M6")
async def test_nothing_leaves_before_another_has_approved(world: World) -> None:
    export_id = await asked(world)
    with pytest.raises(Conflict):
        await taken(world, export_id)
    with pytest.raises(Denied):
        await approve(world, export_id, world.caller)
    with pytest.raises(Conflict):
        await taken(world, export_id)
    assert (await approve(world, export_id, another(world))).state == State.STATE_APPROVED
    assert await taken(world, export_id) == []


@promise("M6")
async def test_no_other_customer_sees_approves_or_takes_it(world: World) -> None:
    export_id = await approved(world)
    stranger = replace(another(world), tenant_id="ten_06d3k5yznp1w9r8g7f6e5d4c3c")
    request = pb.SuppressionExportRequest(suppression_export_id=export_id)
    for call in (world.consent.GetSuppressionExport, world.consent.ApproveSuppressionExport):
        with acting_as(stranger), pytest.raises(NotFound):
            await call(request, None)
    with pytest.raises(NotFound):
        await taken(world, export_id, stranger)


@promise("M6")
async def test_another_customers_people_are_in_nobodys_list(world: World) -> None:
    mine, world.caller = world.caller, replace(world.caller, tenant_id="ten_06d3k5yznp1w9r8g7f6e5d4c3c")
    await world.withdraw(world.person("1"), scope=pb.Scope(everything=True))
    world.caller = mine
    assert await taken(world, await approved(world)) == []


@promise("M6")
async def test_it_is_taken_once_and_not_after_a_day(world: World) -> None:
    world.stand_still()
    export_id = await approved(world)
    await taken(world, export_id)
    with pytest.raises(Conflict):
        await taken(world, export_id)
    late = await approved(world)
    world.clock_ahead_us += TO_BE_TAKEN_WITHIN_US
    with pytest.raises(Conflict):
        await taken(world, late)
    with acting_as(world.caller):
        export = await world.consent.GetSuppressionExport(pb.SuppressionExportRequest(suppression_export_id=late), None)
    assert export.state == State.STATE_LAPSED


@promise("M6")
async def test_the_log_knows_who_asked_why_who_approved_who_took_it_and_how_many_rows_left(world: World) -> None:
    await world.withdraw(world.person("1"))
    export_id = await approved(world)
    await taken(world, export_id)
    exports = await until_ended(world)
    assert [export.version for export in exports] == [1, 2, 3, 4]
    assert [export.state for export in exports] == [State.STATE_PENDING, State.STATE_APPROVED, State.STATE_TAKEN, State.STATE_TAKEN]
    last = exports[-1]
    assert (last.purpose, last.requested_by, last.approved_by, last.taken_by, last.rows, last.complete) == (
        "the authority asks", "api_key:key_1", "api_key:key_2", "api_key:key_1", 1, True,
    )  # fmt: skip


@promise("M6")
async def test_a_download_that_breaks_off_is_told_as_incomplete_and_cannot_be_had_again(world: World) -> None:
    await world.withdraw(world.person("1"))
    export_id = await approved(world)
    request = pb.SuppressionExportRequest(suppression_export_id=export_id)
    with acting_as(world.caller):
        async with aclosing(world.consent.TakeSuppressionExport(request, None)) as chunks:
            await anext(chunks)
    last = (await until_ended(world))[-1]
    assert (last.version, last.rows, last.complete) == (4, 0, False)
    with pytest.raises(Conflict):
        await taken(world, export_id)


async def test_asked_twice_under_one_key_it_is_one_export(world: World) -> None:
    assert await asked(world, idempotency_key="k") == await asked(world, idempotency_key="k")
    assert len(await told(world)) == 1


async def test_approved_twice_it_keeps_its_first_approval(world: World) -> None:
    export_id = await approved(world)
    again = await approve(world, export_id, replace(world.caller, actor=Actor("api_key", "key_3")))
    assert (again.approved_by, again.version) == ("api_key:key_2", 2)
