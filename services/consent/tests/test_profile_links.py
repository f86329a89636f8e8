"""Links to a person's own details: mailed to the address itself, good once and for an hour, and nobody is mailed against their no."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from postlaw.consent.v1 import consent_pb2 as pb
from postlaw.sending.v1 import sending_pb2
from postlaw.subscribers.v1 import subscribers_pb2
from postlaw_common.caller import acting_as
from postlaw_common.errors import Invalid, PostlawError
from postlaw_common.testing.promises import promise

if TYPE_CHECKING:
    from .world import World

JANE, NEW = "jane@example.com", "new@example.com"
HOUR_US = 3600 * 1_000_000
Link = pb.ProfileLink
CONTACT = "hello@acme.example"


@pytest.fixture
async def token(world: World) -> str:
    """Jane's unsubscribe token; subscribers knows her."""
    world.subscribers.resolves = True
    world.identity.stands.contact = CONTACT
    jane = world.person(JANE)
    details = [subscribers_pb2.ProfileField(name="first_name", value="Jane"), subscribers_pb2.ProfileField(name="city")]
    world.subscribers.profiles[jane] = subscribers_pb2.Profile(
        subscriber_id="sub_1", address_key=jane, address=JANE, fields=details, version=3
    )
    await world.given(jane)
    return await world.token(jane)


async def asked(world: World, token: str) -> None:
    """Returns once the mail is sent, never will be, or cannot be for now."""
    with acting_as(None):
        await world.consent.RequestProfileLink(pb.RequestProfileLinkRequest(token=token, language="de"), None)
    await world.links_mailed()


def link_of(world: World, number: int = -1) -> str:
    return world.sending.mails[number].action_url.rpartition("/p/")[2]


async def look(world: World, link: str) -> Link:
    with acting_as(None):
        return await world.consent.DescribeProfileLink(pb.DescribeProfileLinkRequest(token=link), None)


async def use(world: World, link: str, *, address: str = "", if_version: int = 3, **details: str) -> Link:
    told = [pb.Detail(name=name, value=value) for name, value in details.items()]
    request = pb.UseProfileLinkRequest(token=link, details=told, address=address, if_version=if_version, language="fr")
    with acting_as(None):
        used = await world.consent.UseProfileLink(request, None)
    await world.links_mailed()
    return used


@promise("G4")
async def test_the_link_goes_to_the_address_itself_and_shows_the_person_to_whoever_has_it(world: World, token: str) -> None:
    await asked(world, token)
    [mail] = world.sending.mails
    assert (mail.address, mail.language, mail.template) == (JANE, "de", sending_pb2.SendMessageRequest.TEMPLATE_CHANGE_DETAILS)
    assert (mail.sender.address, mail.scope.list_id) == (CONTACT, "lst_1")
    for _ in range(2):  # as a mail scanner does
        shown = await look(world, link_of(world))
        assert (shown.kind, shown.state, shown.address, shown.version) == (Link.KIND_DETAILS, Link.STATE_OPEN, JANE, 3)
        assert {detail.name: detail.value for detail in shown.details} == {"first_name": "Jane", "city": ""}
    assert world.subscribers.corrected == []


@promise("G4")
async def test_what_is_corrected_is_at_once_so_and_the_link_is_used_up(world: World, token: str) -> None:
    await asked(world, token)
    done = await use(world, link_of(world), first_name="Janet", city="Graz")
    assert (done.state, done.done, done.address_asked) == (Link.STATE_USED, True, False)
    [corrected] = world.subscribers.corrected
    assert {field.name: field.value for field in corrected.fields} == {"first_name": "Janet", "city": "Graz"}
    later = await use(world, link_of(world), if_version=4, first_name="Mallory")
    assert (later.state, later.done) == (Link.STATE_USED, False)
    seen = await look(world, link_of(world))
    assert (seen.state, seen.address, list(seen.details)) == (Link.STATE_USED, "", [])
    assert (await world.describe(seen.opt_out_token)).address_key == world.person(JANE)
    assert len(world.subscribers.corrected) == 1


@promise("G4")
async def test_pressing_twice_and_after_a_lost_answer_corrects_once(world: World, token: str) -> None:
    await asked(world, token)
    world.subscribers.loses_answers = True
    with pytest.raises(PostlawError):
        await use(world, link_of(world), city="Graz")
    world.subscribers.loses_answers = False
    done = await asyncio.gather(*(use(world, link_of(world), city="Graz") for _ in range(4)))
    assert all(one.done for one in done)
    assert len(world.subscribers.corrected) == 1
    world.subscribers.profiles[world.person(JANE)].fields[1].value = "Linz"  # the customer, later
    assert (await use(world, link_of(world), city="Graz")).done
    assert len(world.subscribers.corrected) == 1


@promise("G4")
async def test_two_people_with_one_link_correct_once(world: World, token: str) -> None:
    await asked(world, token)
    done = await asyncio.gather(*(use(world, link_of(world), city=city) for city in ("Graz", "Linz", "Wien")))
    assert [one.done for one in done].count(True) == 1
    assert len(world.subscribers.corrected) == 1


@promise("G4")
async def test_a_page_that_is_out_of_date_or_wrong_changes_nothing_and_leaves_the_link_open(world: World, token: str) -> None:
    await asked(world, token)
    stale = await use(world, link_of(world), if_version=2, city="Graz")
    assert (stale.state, stale.problem, stale.version) == (Link.STATE_OPEN, Link.PROBLEM_STALE, 3)
    assert (await use(world, link_of(world), city="x" * 200)).problem == Link.PROBLEM_DETAILS
    assert world.subscribers.corrected == []
    assert (await use(world, link_of(world), city="Graz")).done


@promise("G4")
async def test_after_an_hour_or_once_the_person_is_gone_it_shows_nothing(world: World, token: str) -> None:
    await asked(world, token)
    profile = world.subscribers.profiles.pop(world.person(JANE))
    assert (await look(world, link_of(world))).state == Link.STATE_EXPIRED
    assert (await use(world, link_of(world), city="Graz")).state == Link.STATE_EXPIRED
    world.subscribers.profiles[world.person(JANE)] = profile
    world.clock_ahead_us += HOUR_US
    for shown in (await look(world, link_of(world)), await use(world, link_of(world), city="Graz")):
        assert (shown.state, shown.address, list(shown.details)) == (Link.STATE_EXPIRED, "", [])
    assert world.subscribers.corrected == []
    world.clock_ahead_us += 80 * HOUR_US
    await world.links_swept(forgotten=True)
    assert (await look(world, link_of(world))).state == Link.STATE_EXPIRED


@promise("G4", "M6")
async def test_a_new_address_counts_once_it_is_confirmed_and_the_old_ones_opt_outs_stay_with_the_old(world: World, token: str) -> None:
    await world.withdraw(world.person(JANE), "lst_2")
    await asked(world, token)
    done = await use(world, link_of(world), address=NEW, city="Graz")
    assert (done.done, done.address_asked) == (True, True)
    assert world.subscribers.opening == [NEW], "suppression lists are looked up before the mail, and not while the page waits"
    assert set(world.subscribers.profiles) == {world.person(JANE)}
    mail = world.sending.mails[-1]
    assert (mail.address, mail.language, mail.template) == (NEW, "fr", sending_pb2.SendMessageRequest.TEMPLATE_CONFIRM_ADDRESS)
    for _ in range(2):
        shown = await look(world, link_of(world))
        assert (shown.kind, shown.state, shown.address, list(shown.details)) == (Link.KIND_ADDRESS, Link.STATE_OPEN, NEW, [])
    assert set(world.subscribers.profiles) == {world.person(JANE)}
    confirmed, again = await use(world, link_of(world)), await use(world, link_of(world))
    assert {(one.state, one.done) for one in (confirmed, again)} == {(Link.STATE_USED, True)}
    assert set(world.subscribers.profiles) == {world.person(NEW)}
    assert len(world.subscribers.corrected) == 2
    assert (await world.describe(confirmed.opt_out_token)).address_key == world.person(NEW)
    assert len((await world.listed(world.person(JANE))).events) == 2
    assert list((await world.listed(world.person(NEW))).events) == []
    assert not await world.allowed(world.person(NEW))


@promise("G4")
async def test_a_new_address_that_had_bounced_is_reachable_once_its_owner_has_confirmed_it(world: World, token: str) -> None:
    await world.withdraw(world.person(NEW), kind=pb.ConsentEvent.KIND_BOUNCED)
    await asked(world, token)
    await use(world, link_of(world), address=NEW)
    for _ in range(2):
        assert (await use(world, link_of(world))).done
    kinds = [event.kind for event in (await world.listed(world.person(NEW))).events]
    assert kinds == [pb.ConsentEvent.KIND_BOUNCED, pb.ConsentEvent.KIND_REACHABLE]


@promise("G4")
async def test_an_address_that_is_anothers_by_the_time_it_is_confirmed_changes_nothing(world: World, token: str) -> None:
    await asked(world, token)
    await use(world, link_of(world), address="taken@example.com")
    assert (await use(world, link_of(world))).problem == Link.PROBLEM_ADDRESS_TAKEN
    assert set(world.subscribers.profiles) == {world.person(JANE)}


@promise("M6", "G4")
@pytest.mark.parametrize("no", [{}, {"scope": pb.Scope(everything=True)}, {"kind": pb.ConsentEvent.KIND_COMPLAINED}])
async def test_whoever_said_no_is_mailed_by_nobody_who_types_their_address_and_the_answer_does_not_say_so(
    world: World, token: str, no: dict[str, Any]
) -> None:
    await world.withdraw(world.person(NEW), **no)
    await asked(world, token)
    done = await use(world, link_of(world), address=NEW)
    assert (done.done, done.address_asked, done.problem) == (True, True, 0)
    assert [mail.address for mail in world.sending.mails] == [JANE]


@promise("G4")
async def test_who_stopped_a_list_may_still_see_and_correct_what_is_kept_of_them(world: World, token: str) -> None:
    await world.withdraw(world.person(JANE))
    await asked(world, token)
    assert [mail.address for mail in world.sending.mails] == [JANE]


@promise("G4")
async def test_links_are_capped_as_confirmations_are(world: World, token: str) -> None:
    for _ in range(2):
        await asked(world, token)
    assert len(world.sending.mails) == 1
    for _ in range(6):
        world.clock_ahead_us += 301 * 1_000_000
        await asked(world, token)
    assert len(world.sending.mails) == 5


async def test_the_sender_is_who_wrote_the_message_and_without_any_nothing_goes(world: World, token: str) -> None:
    world.sending.campaigns["cmp_1"] = sending_pb2.Sender(name="News", address="news@acme.example", postal_address="1 High Street")
    await asked(world, token)
    assert world.sending.mails[0].sender.address == "news@acme.example"
    del world.sending.campaigns["cmp_1"]
    world.identity.stands.contact = "+353 1 234"
    world.clock_ahead_us += 301 * 1_000_000
    await asked(world, token)
    assert len(world.sending.mails) == 1


@promise("G4")
async def test_forged_and_foreign_tokens_show_and_change_nothing(world: World, token: str) -> None:
    await asked(world, token)
    link = link_of(world)
    for wrong in ("", link[:-1], "B" + link[1:], token, "x" * 100):
        with pytest.raises(Invalid) as refused:
            await use(world, wrong, city="Graz")
        assert refused.value.type == "bad-token"
    for wrong in (link, "x"):
        with pytest.raises(Invalid):
            await asked(world, wrong)
    assert world.subscribers.corrected == []


async def test_what_was_asked_for_is_mailed_after_an_outage_and_a_crash_once_and_lies_sealed(world: World, token: str) -> None:
    await asked(world, token)
    world.sending.away = True
    await use(world, link_of(world), address=NEW)
    assert len(world.sending.mails) == 1
    stored = [document async for page in world.stores["consent"].collection("profile_links").scan() for document in page]
    assert NEW not in repr(stored)
    await world.restart()
    world.sending.away = False
    world.clock_ahead_us += 60 * 1_000_000
    await world.links_swept()
    assert [mail.address for mail in world.sending.mails] == [JANE, NEW]


async def keep(world: World, token: str, language: str) -> pb.LanguageKept:
    with acting_as(None):
        return await world.consent.KeepLanguage(pb.KeepLanguageRequest(token=token, language=language), None)


@promise("G9")
async def test_a_language_is_kept_by_the_persons_own_link_and_by_no_other(world: World, token: str) -> None:
    said = [await keep(world, token, "de") for _ in range(2)]
    assert [(one.kept, one.already) for one in said] == [(True, False), (True, True)]
    assert world.subscribers.languages == {world.person(JANE): "de"}
    for wrong in (token[:-1], ""):
        with pytest.raises(Invalid):
            await keep(world, wrong, "fr")
    with pytest.raises(Invalid):
        await keep(world, token, "??")
    world.subscribers.profiles.clear()
    assert not (await keep(world, token, "fr")).kept
    assert world.subscribers.languages == {world.person(JANE): "de"}
    assert len((await world.listed(world.person(JANE))).events) == 1, "it is no act of consent"
