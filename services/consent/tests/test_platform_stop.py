"""What whoever runs the installation stops for all its customers, at one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from postlaw.consent.v1 import consent_pb2 as pb
from postlaw_common.caller import acting_as
from postlaw_common.errors import Invalid
from postlaw_common.testing.promises import promise
from postlaw_consent.domain.fold import fold
from postlaw_consent.domain.gate import Gate
from postlaw_consent.domain.message import Asked, Sender
from postlaw_consent.domain.scope import PLATFORM, Belongs

from .histories import LAW, NOW, A, fact

if TYPE_CHECKING:
    from .world import World

EVERYWHERE = pb.Scope(platform=True)


async def said(world: World, what: str, person: bytes) -> Any:
    request = pb.PlatformStopRequest(address_key=person, source="court order")
    with acting_as(world.caller):
        return await getattr(world.consent, what)(request, None)


@promise("M6")
async def test_it_goes_through_the_stop_and_is_said_once(world: World) -> None:
    person = world.person("1")
    await world.given(person)
    stopped = await said(world, "StopForPlatform", person)
    assert (stopped.outcome, stopped.already_withdrawn, stopped.scope) == (pb.OUTCOME_STOPPED, False, EVERYWHERE)
    assert not await world.allowed(person)
    again = await said(world, "StopForPlatform", person)
    assert (again.already_withdrawn, again.event_id) == (True, stopped.event_id)
    [event] = [event for event in await world.events() if event.scope == PLATFORM]
    assert (event.kind, event.source) == ("withdrawn", "court order")


@promise("M6")
async def test_no_consent_opens_it_and_once_it_is_lifted_all_is_as_it_was(world: World) -> None:
    person, stopped_too = world.person("1"), world.person("2")
    for one in (person, stopped_too):
        await world.given(one)
        await said(world, "StopForPlatform", one)
    await world.given(person)
    await world.withdraw(stopped_too)
    assert not await world.allowed(person)
    assert [(await said(world, "LiftForPlatform", one)).lifted for one in (person, stopped_too)] == [True, True]
    assert [await world.allowed(one) for one in (person, stopped_too)] == [True, False]
    assert not (await said(world, "LiftForPlatform", person)).lifted
    anew = await said(world, "StopForPlatform", person)
    assert not anew.already_withdrawn, "mail may have been under way since"
    assert not await world.allowed(person)


@promise("M6")
async def test_no_customer_says_or_lifts_it(world: World) -> None:
    person = world.person("1")
    await said(world, "StopForPlatform", person)
    for scope, kind in ((EVERYWHERE, pb.ConsentEvent.KIND_GIVEN), (EVERYWHERE, pb.ConsentEvent.KIND_LIFTED)):
        with pytest.raises(Invalid):
            await world.record(pb.ConsentRecord(address_key=person, scope=scope, kind=kind))
    with pytest.raises(Invalid) as refused:
        await world.record(pb.ConsentRecord(address_key=person, scope=pb.Scope(everything=True), kind=pb.ConsentEvent.KIND_LIFTED))
    assert [one.field for one in refused.value.fields] == ["consents[0].kind"]
    with pytest.raises(Invalid):
        await world.withdraw(world.person("2"), scope=EVERYWHERE)
    assert not await world.allowed(person)


@promise("M6")
async def test_who_comes_to_a_customer_later_is_stopped_with_others_at_once(world: World) -> None:
    people = [world.person(str(number)) for number in range(3)]
    await said(world, "StopForPlatform", people[0])
    await world.withdraw(people[1], scope=pb.Scope(everything=True))
    request = pb.SuppressManyRequest(address_keys=people, source="court order", idempotency_key="everywhere/1", platform=True)
    with acting_as(world.caller):
        assert list((await world.consent.SuppressMany(request, None)).already_suppressed) == [0]
        await world.consent.SuppressMany(request, None)
    events = [event.address_key for event in await world.events() if event.scope == PLATFORM]
    assert sorted(events) == sorted(people), "an opt-out of their own is another thing"


@promise("M6")
def test_what_is_stopped_for_every_customer_is_service_mail_too() -> None:
    state = fold([fact(1, "given", A), fact(2, "withdrawn", PLATFORM, 1)])
    service = Gate(Asked("transactional").by(Sender("IE"), Belongs(A)), LAW, NOW).decide(state.person(), state.latest_us)
    assert [reason.code for reason in service.reasons] == ["SUPPRESSED_PLATFORM"]
