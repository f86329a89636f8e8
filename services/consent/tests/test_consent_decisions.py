"""The first gate: decided on all that stands below the offset it names, one by one or by a whole partition's view."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from postlaw.consent.v1 import consent_pb2 as pb
from postlaw_common.errors import Invalid
from postlaw_common.testing.promises import promise
from postlaw_consent.afterwards import Afterwards
from postlaw_consent.domain.gate import events_of
from postlaw_consent.ends import Ends
from postlaw_consent.ledger import Ledger
from postlaw_consent.outgoing import EVENTS
from postlaw_consent.standings import SNAPSHOTS, Standings
from postlaw_consent.views import Views
from postlaw_consent.wire import decode, encode, microseconds
from postlaw_law.loading import the_law

if TYPE_CHECKING:
    from .world import World

both = pytest.mark.parametrize("bulk", [False, True])


def crowd(world: World, count: int, partition: int = 0) -> list[bytes]:
    """People of one partition."""
    found: list[bytes] = []
    number = 0
    while len(found) < count:
        person = world.person(f"crowd {number}")
        number += 1
        if world.partition(person) == partition:
            found.append(person)
    return found


async def consents(world: World, people: list[bytes], route: pb.Route.ValueType = pb.ROUTE_IMPORT) -> None:
    await world.record(*(pb.ConsentRecord(address_key=person, scope=pb.Scope(list_id="lst_1"), route=route) for person in people))


async def end(world: World, partition: int) -> int:
    client = await world.bus.end_offset_client()
    found = await client.end_offsets([(EVENTS.name, partition)])
    await client.close()
    return found[EVENTS.name, partition]


@both
async def test_each_is_answered_in_the_order_asked_with_reasons_basis_and_a_link(world: World, bulk: bool) -> None:
    people = crowd(world, 5)
    await consents(world, people[:4])
    await world.withdraw(people[1])
    await world.withdraw(people[2], scope=pb.Scope(everything=True))
    answer = await world.decide(*people, bulk=bulk)
    verdicts = [answer.verdicts[one.verdict] for one in answer.decisions]
    assert [([reason.code for reason in verdict.reasons], dict(verdict.bases)) for verdict in verdicts] == [
        ([], {"EU-IE": "express_consent", "ZZ": "express_consent"}),
        (["SUPPRESSED_TOPIC"], {}),
        (["SUPPRESSED_ALL"], {}),
        ([], {"EU-IE": "express_consent", "ZZ": "express_consent"}),
        (["EU-IE:NO_ROUTE", "ZZ:NO_ROUTE"], {}),
    ]
    assert [(one.allow, bool(one.opt_out_token)) for one in answer.decisions] == [(verdict.allow,) * 2 for verdict in verdicts]
    assert len(answer.verdicts) == 4
    assert answer.law_version == the_law().version
    assert answer.consent_offset == await end(world, 0)
    assert 6.9 < (microseconds(answer.expires_at) - world.now_us()) / 86_400_000_000 <= 7


async def test_the_link_is_that_persons_and_of_the_messages_own_list(world: World) -> None:
    people = crowd(world, 2)
    await consents(world, people)
    answer = await world.decide(*people, bulk=True)
    receipt = await world.by_token(answer.decisions[1].opt_out_token.decode())
    assert receipt.scope == pb.Scope(list_id="lst_1")
    assert await world.allowed(people[0])
    assert not await world.allowed(people[1])
    [event] = [event for event in await world.events() if event.kind == "withdrawn"]
    assert (event.campaign_id, event.route, event.actor.kind) == ("cmp_1", "one_click", "person")


@both
@promise("M6")
async def test_the_offset_is_read_before_any_fact(world: World, bulk: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A withdrawal that comes between the two reads lies at or above the offset: the second gate sees it."""
    [person] = crowd(world, 1)
    await consents(world, [person])
    fence = Ledger.fence
    before = await end(world, 0)
    late: list[int] = []

    async def fenced(ledger: Ledger) -> None:
        await fence(ledger)
        if not late:
            late.append(1)
            await world.withdraw(person)

    monkeypatch.setattr(Ledger, "fence", fenced)
    answer = await world.decide(person, bulk=bulk)
    assert answer.consent_offset == before < await end(world, 0)


@promise("M6")
async def test_a_view_is_as_new_as_the_offset_that_it_is_given_out_with(world: World) -> None:
    people = crowd(world, 30)
    await consents(world, people[:20])
    clock = Clock()
    views = views_of(world, clock)
    view = await views.get(world.caller.tenant_id, 0)
    assert (len(view.people), view.offset) == (20, await end(world, 0))
    await world.withdraw(people[0])
    await consents(world, people[20:])
    clock.now += 1.0
    again = await views.get(world.caller.tenant_id, 0)
    assert again is view
    assert (len(view.people), view.offset) == (30, await end(world, 0))
    assert [events_of(view.people[person]) for person in people[:2]] == [2, 1]


async def test_a_view_never_moves_its_offset_without_its_facts(world: World) -> None:
    people = crowd(world, 3)
    await consents(world, people)
    clock = Clock()
    views = views_of(world, clock)
    offset = (await views.get(world.caller.tenant_id, 0)).offset
    await world.withdraw(people[0])
    view = await views.get(world.caller.tenant_id, 0)  # too soon to look at the log again: old facts, old offset
    assert view.offset == offset
    assert events_of(view.people[people[0]]) == 1


async def test_a_view_is_loaded_anew_after_a_minute(world: World) -> None:
    await consents(world, crowd(world, 3))
    clock = Clock()
    views = views_of(world, clock)
    view = await views.get(world.caller.tenant_id, 0)
    clock.now += 61
    assert await views.get(world.caller.tenant_id, 0) is not view


async def test_older_views_make_room_and_a_partition_too_large_is_decided_person_by_person(world: World) -> None:
    small, large = crowd(world, 4, 1), crowd(world, 30)
    await consents(world, small + large)
    world.settings.view_people = 10
    await world.restart()
    for _ in range(2):
        assert all(one.allow for one in (await world.decide(*small, bulk=True)).decisions)
        answer = await world.decide(*large, bulk=True)
        assert all(one.allow for one in answer.decisions)
        assert answer.consent_offset == await end(world, 0)


async def test_one_customers_view_holds_nobody_elses_people(world: World) -> None:
    people = crowd(world, 1)
    await consents(world, people)
    with world.tenant("ten_other"):
        theirs = crowd(world, 3)
        await consents(world, theirs)
    clock = Clock()
    views = views_of(world, clock)
    view = await views.get("ten_other", 0)
    await consents(world, crowd(world, 2))
    clock.now += 1.0
    assert await views.get("ten_other", 0) is view
    assert set(view.people) == set(theirs)
    assert view.offset == await end(world, 0)


@both
async def test_people_of_another_partition_are_refused_as_a_mistake(world: World, bulk: bool) -> None:
    [here], [there] = crowd(world, 1, 0), crowd(world, 1, 1)
    with pytest.raises(Invalid) as refused:
        await world.decide(here, there, bulk=bulk)
    assert [field.field for field in refused.value.fields] == ["address_keys[1]"]


async def test_a_long_history_is_read_whole(world: World) -> None:
    person = world.person("ada")
    await world.record(*(pb.ConsentRecord(address_key=person, scope=pb.Scope(list_id=f"lst_{number}")) for number in range(70)))
    assert await world.allowed(person, list_id="lst_69")
    await world.withdraw(person, list_id="lst_69")
    assert not await world.allowed(person, list_id="lst_69")


class Clock:
    """Seconds, moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def views_of(world: World, clock: Clock) -> Views:
    store = world.stores["consent"]
    ledger = Ledger(lambda: store.collection("ledger"), encode, decode, lambda: world.placement)
    standings = Standings(ledger, lambda: store.collection(SNAPSHOTS.name), Afterwards())
    return Views(ledger, standings, world.bus, StartedEnds(world), clock=clock)


class StartedEnds(Ends):
    """Opens its client at the first question."""

    def __init__(self, world: World) -> None:
        super().__init__(world.bus)
        self._started = False

    async def end(self, partition: int) -> int:
        if not self._started:
            self._started = True
            await self.start()
        return await super().end(partition)
