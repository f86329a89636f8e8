"""The preference centre's two calls: how a person stands by their own acts, and what they change with nothing but their token."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from postlaw.consent.v1 import consent_pb2 as pb
from postlaw_common.caller import acting_as
from postlaw_common.errors import Invalid
from postlaw_common.testing.promises import promise
from postlaw_consent.domain.preferences import DAY_US, Listed, pause_ends_us
from postlaw_consent.list_names import LIST_NAMES, ListNames
from postlaw_consent.notices import NOTICES

from .world import PROVEN

if TYPE_CHECKING:
    from .world import World

Change = pb.ChangePreferencesRequest
YES = "Yes: Acme may send me mail on the mailing list “News” again. I can stop it at any time."
NEWS, OFFERS, SHOES = pb.Scope(list_id="lst_1"), pb.Scope(list_id="lst_2"), pb.Scope(topic="shoes")
EVERYTHING = pb.Scope(everything=True)
UNSAID, GIVEN, REFUSED = pb.Preferences.TRACKING_UNSPECIFIED, pb.Preferences.TRACKING_GIVEN, pb.Preferences.TRACKING_REFUSED


async def describe(world: World, token: str) -> pb.Preferences:
    with acting_as(None):
        return await world.consent.DescribePreferences(pb.DescribePreferencesRequest(token=token), None)


async def change(world: World, token: str, what: Change.Change.ValueType, **more: Any) -> pb.PreferencesChanged:
    with acting_as(None):
        return await world.consent.ChangePreferences(Change(token=token, change=what, **more), None)


async def start(world: World, token: str, scope: pb.Scope = NEWS, **more: Any) -> pb.PreferencesChanged:
    said = {"wording": YES, "language": "en", "contact_shown": True} | more
    return await change(world, token, Change.CHANGE_START, scope=scope, **said)


def opened(found: pb.Preferences) -> dict[str, bool]:
    return {choice.scope.list_id or choice.scope.topic: choice.open for choice in found.choices}


async def someone(world: World) -> tuple[bytes, str]:
    person = world.person("ada")
    await world.given(person)
    return person, await world.token(person)


async def test_every_list_and_topic_that_somebody_opened_or_closed_is_a_choice(world: World) -> None:
    person, token = await someone(world)
    await world.given(person, scope=SHOES)
    await world.given(person, "lst_2")
    await world.withdraw(person, "lst_2")
    found = await describe(world, token)
    assert (found.tenant_id, found.address_key) == (world.caller.tenant_id, person)
    assert opened(found) == {"lst_1": True, "lst_2": False, "shoes": True}
    assert (found.everything_stopped, found.paused, found.tracking) == (False, False, UNSAID)


async def test_who_came_by_a_link_finds_what_it_is_about_whatever_they_did(world: World) -> None:
    person = world.person("bob")
    await world.given(person, scope=EVERYTHING)
    token = await world.token(person, "lst_1")
    assert opened(await describe(world, token)) == {"lst_1": True}
    await change(world, token, Change.CHANGE_STOP, scope=EVERYTHING)
    found = await describe(world, token)
    assert (opened(found), found.everything_stopped) == ({"lst_1": False}, True)


@promise("M6")
@pytest.mark.parametrize(
    "later",
    [
        {"route": pb.ROUTE_IMPORT},
        {"kind": pb.ConsentEvent.KIND_IMPLIED, "particulars": pb.Particulars(relationship="purchase")},
    ],
)
async def test_what_somebody_closed_is_not_shown_open_because_of_an_import_or_a_purchase(world: World, later: dict[str, Any]) -> None:
    person, token = await someone(world)
    await change(world, token, Change.CHANGE_STOP, scope=NEWS)
    await world.given(person, **later)
    assert opened(await describe(world, token)) == {"lst_1": False}


async def test_describing_changes_nothing(world: World) -> None:
    person, token = await someone(world)
    for _ in range(3):
        await describe(world, token)
    assert len((await world.listed(person)).events) == 1


@promise("M6", "G9")
@pytest.mark.parametrize("scope", [NEWS, EVERYTHING])
async def test_what_is_stopped_there_goes_through_the_stop(world: World, scope: pb.Scope) -> None:
    person, token = await someone(world)
    changed = await change(world, token, Change.CHANGE_STOP, scope=scope)
    assert (changed.outcome, changed.already) == (pb.OUTCOME_STOPPED, False)
    [asked] = world.sending.asked
    assert asked.scope == scope
    assert opened(changed.preferences) == {"lst_1": False}
    assert not await world.allowed(person)
    again = await change(world, token, Change.CHANGE_STOP, scope=scope)
    assert (again.outcome, again.already) == (pb.OUTCOME_STOPPED, True)
    assert len((await world.listed(person)).events) == 2


@promise("M6")
async def test_where_the_stop_cannot_be_confirmed_it_is_recorded(world: World) -> None:
    person, token = await someone(world)
    world.sending.mode = "fail"
    for closer in (Change.CHANGE_STOP, Change.CHANGE_PAUSE):
        assert (await change(world, token, closer, scope=NEWS)).outcome == pb.OUTCOME_RECORDED
    assert not await world.allowed(person)


@promise("G2", "M6")
async def test_only_the_persons_own_press_starts_again_what_they_stopped_and_its_words_are_kept(world: World) -> None:
    person, token = await someone(world)
    await change(world, token, Change.CHANGE_STOP, scope=NEWS)
    started = await start(world, token)
    assert (started.outcome, started.already) == (pb.OUTCOME_UNSPECIFIED, False)
    assert opened(started.preferences) == {"lst_1": True}
    assert await world.allowed(person), "all that the strictest law asks was there"
    event = (await world.listed(person)).events[-1]
    digest = hashlib.sha256(YES.encode()).digest()
    assert (event.kind, event.route, event.notice_hash) == (pb.ConsentEvent.KIND_GIVEN, pb.ROUTE_PAGE, digest)
    assert (event.particulars.language, event.actor.id) == ("en", person.hex())
    kept = await world.stores["consent"].collection(NOTICES.name).get(f"{world.caller.tenant_id}/{digest.hex()}")
    assert kept is not None
    assert kept["wording"] == YES


@promise("G2")
async def test_a_page_that_did_not_show_how_to_reach_the_sender_does_not_claim_that_it_did(world: World) -> None:
    person, token = await someone(world)
    await change(world, token, Change.CHANGE_STOP, scope=NEWS)
    await start(world, token, contact_shown=False)
    held = (await world.listed(person)).events[-1].particulars.held
    assert set(held) == set(PROVEN.held) - {pb.EVIDENCE_CONTACT_SHOWN}
    assert not await world.allowed(person), "the strictest law asks for it"


async def test_one_list_is_started_again_without_the_others(world: World) -> None:
    person, token = await someone(world)
    await world.given(person, "lst_2")
    await change(world, token, Change.CHANGE_STOP, scope=EVERYTHING)
    started = await start(world, token)
    assert opened(started.preferences) == {"lst_1": True, "lst_2": False}
    assert await world.allowed(person, "lst_1")
    assert not await world.allowed(person, "lst_2")


@promise("G7")
async def test_a_pause_holds_everything_until_it_ends_or_is_ended(world: World) -> None:
    person, token = await someone(world)
    world.stand_still()
    paused = await change(world, token, Change.CHANGE_PAUSE, pause_days=30)
    assert (paused.outcome, paused.preferences.paused) == (pb.OUTCOME_STOPPED, True)
    until_us = paused.preferences.paused_until.ToMicroseconds()
    assert until_us % DAY_US == 0
    assert 30 * DAY_US < until_us - world.now_us() <= 31 * DAY_US
    assert opened(paused.preferences) == {"lst_1": True}, "a pause closes no choice"
    assert not await world.allowed(person)
    world.clock_ahead_us = until_us - world.now_us() - 1
    assert not await world.allowed(person)
    world.clock_ahead_us += 1
    assert await world.allowed(person)
    assert not (await describe(world, token)).paused


@promise("G7")
async def test_a_pause_without_an_end_is_ended_by_the_person_at_any_time(world: World) -> None:
    person, token = await someone(world)
    paused = await change(world, token, Change.CHANGE_PAUSE)
    assert (paused.preferences.paused, paused.preferences.HasField("paused_until")) == (True, False)
    resumed = await change(world, token, Change.CHANGE_RESUME, wording="Yes: send again what I have not stopped.")
    assert not resumed.preferences.paused
    assert await world.allowed(person)


async def test_a_pause_is_set_anew_by_another_but_not_by_the_same(world: World) -> None:
    person, token = await someone(world)
    world.stand_still()
    first = await change(world, token, Change.CHANGE_PAUSE, pause_days=30)
    again = await change(world, token, Change.CHANGE_PAUSE, pause_days=30)
    assert (again.already, again.outcome, again.preferences) == (True, pb.OUTCOME_STOPPED, first.preferences)
    longer = await change(world, token, Change.CHANGE_PAUSE, pause_days=90)
    assert not longer.already
    assert longer.preferences.paused_until.ToMicroseconds() == pause_ends_us(world.now_us(), 90)
    assert [event.kind for event in (await world.listed(person)).events].count(pb.ConsentEvent.KIND_PAUSED) == 2


@promise("M9")
async def test_tracking_is_the_persons_own_switch(world: World) -> None:
    person, token = await someone(world)
    off = await change(world, token, Change.CHANGE_TRACKING_OFF)
    assert (off.preferences.tracking, off.already) == (REFUSED, False)
    assert (off.outcome, world.sending.asked) == (pb.OUTCOME_RECORDED, []), "what is on its way may still be tracked"
    assert (await change(world, token, Change.CHANGE_TRACKING_OFF)).already
    assert not (await world.decide(person)).verdicts[0].open_tracking
    on = await change(world, token, Change.CHANGE_TRACKING_ON, wording="Yes: Acme may note that I open its mail.", contact_shown=True)
    assert on.preferences.tracking == GIVEN
    assert (await world.decide(person)).verdicts[0].open_tracking
    assert await world.allowed(person)
    kinds = [event.kind for event in (await world.listed(person)).events]
    assert kinds == [pb.ConsentEvent.KIND_GIVEN, pb.ConsentEvent.KIND_TRACKING_WITHDRAWN, pb.ConsentEvent.KIND_TRACKING_GIVEN]


@pytest.mark.parametrize(
    ("first", "what"),
    [
        (Change.CHANGE_STOP, {"change": Change.CHANGE_START, "scope": NEWS, "wording": YES}),
        (Change.CHANGE_PAUSE, {"change": Change.CHANGE_RESUME, "wording": YES}),
        (Change.CHANGE_TRACKING_OFF, {"change": Change.CHANGE_TRACKING_ON, "wording": YES}),
        (Change.CHANGE_TRACKING_ON, {"change": Change.CHANGE_TRACKING_OFF}),
        (Change.CHANGE_RESUME, {"change": Change.CHANGE_PAUSE, "pause_days": 60}),
        (Change.CHANGE_TRACKING_OFF, {"change": Change.CHANGE_STOP, "scope": EVERYTHING}),
    ],
)
async def test_pressing_twice_at_once_and_once_more_is_as_good_as_once(world: World, first: Any, what: dict[str, Any]) -> None:
    person, token = await someone(world)
    await change(world, token, first, scope=NEWS, wording=YES)
    before = len((await world.listed(person)).events)
    press = Change(token=token, **what)
    with acting_as(None):
        both = await asyncio.gather(*(world.consent.ChangePreferences(press, None) for _ in range(2)))
        again = await world.consent.ChangePreferences(press, None)
    assert again.already
    assert both[0].preferences == both[1].preferences == again.preferences
    assert len((await world.listed(person)).events) == before + 1


@pytest.mark.parametrize(
    "what",
    [
        {"change": Change.CHANGE_UNSPECIFIED},
        {"change": 99},
        {"change": Change.CHANGE_STOP},
        {"change": Change.CHANGE_START, "wording": YES},
        {"change": Change.CHANGE_START, "scope": EVERYTHING, "wording": YES},
        {"change": Change.CHANGE_START, "scope": NEWS},
        {"change": Change.CHANGE_RESUME},
        {"change": Change.CHANGE_TRACKING_ON},
        {"change": Change.CHANGE_PAUSE, "pause_days": -1},
        {"change": Change.CHANGE_PAUSE, "pause_days": 367},
    ],
)
async def test_what_is_no_change_changes_nothing(world: World, what: dict[str, Any]) -> None:
    person, token = await someone(world)
    with pytest.raises(Invalid), acting_as(None):
        await world.consent.ChangePreferences(Change(token=token, **what), None)
    assert len((await world.listed(person)).events) == 1


async def test_a_wrong_token_neither_shows_nor_changes(world: World) -> None:
    _, token = await someone(world)
    for wrong in (token[:-1], "C" + token[1:], "", "x" * 600):
        with pytest.raises(Invalid, match="unsubscribe link"):
            await describe(world, wrong)
        with pytest.raises(Invalid, match="unsubscribe link"):
            await change(world, wrong, Change.CHANGE_STOP, scope=EVERYTHING)


@promise("G9")
async def test_the_brand_of_the_links_list_can_be_stopped_and_each_of_its_lists_started_again(world: World) -> None:
    person, token = await someone(world)
    await world.given(person, "lst_2")
    lists = ListNames(lambda: world.stores["consent"].collection(LIST_NAMES.name))
    await lists.keep({(world.caller.tenant_id, id): Listed("News", "Acme") for id in ("lst_1", "lst_2")})
    found = await describe(world, token)
    assert (found.brand, found.brand_stopped) == ("Acme", False)
    stopped = await change(world, token, Change.CHANGE_STOP, scope=pb.Scope(brand="Acme"))
    assert stopped.outcome == pb.OUTCOME_STOPPED
    assert stopped.preferences.brand_stopped
    assert [(one.scope, one.open) for one in stopped.preferences.choices] == [
        (pb.Scope(brand="Acme"), False), (NEWS, False), (OFFERS, False),
    ]  # fmt: skip
    assert not await world.allowed(person, brand="Acme")
    again = await start(world, token)
    assert [one.open for one in again.preferences.choices] == [False, True, False]
    assert await world.allowed(person, brand="Acme")
    assert not await world.allowed(person, "lst_2", brand="Acme")


@promise("M5", "M6")
async def test_a_link_of_a_message_that_has_a_brand_alone_stops_the_brand(world: World) -> None:
    person = world.person("ada")
    await world.given(person, scope=pb.Scope(brand="Acme"))
    decided = await world.decide(person, scope=pb.Scope(everything=True), brand="Acme")
    answer = await world.by_token(decided.decisions[0].opt_out_token.decode())
    assert answer.scope == pb.Scope(brand="Acme")
    assert not await world.allowed(person, brand="Acme")
