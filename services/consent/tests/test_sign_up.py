"""A sign-up, from the form to what is mailed and kept: carried out once, and only on a form that there is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from postlaw.consent.v1 import consent_pb2 as pb
from postlaw_common.caller import acting_as
from postlaw_common.errors import Invalid, NotFound
from postlaw_common.testing.promises import promise

from .signing_up import JANE, Event, confirm, form, history, kinds, look, sign_up, token_of
from .world import PROVEN

if TYPE_CHECKING:
    from .world import World


@promise("G12", "G2")
async def test_a_sign_up_is_a_request_until_the_person_confirms_it(world: World) -> None:
    on = await form(world)
    await sign_up(world, on)
    assert world.subscribers.joined == [(JANE, "lst_1")]
    assert not await world.allowed(world.person(JANE))
    [mail] = world.sending.mails
    assert (mail.address, mail.language, mail.sender.name, mail.scope.list_id) == (JANE, "de", "Acme", "lst_1")
    assert (await look(world, token_of(world))).state == pb.Confirmation.STATE_OPEN
    done = await confirm(world, token_of(world))
    assert (done.state, done.already) == (pb.Confirmation.STATE_CONFIRMED, False)
    seen = await look(world, token_of(world))
    assert (seen.state, seen.already) == (pb.Confirmation.STATE_CONFIRMED, True)
    requested, confirmed = await history(world)
    assert (requested.kind, confirmed.kind) == (Event.KIND_REQUESTED, Event.KIND_CONFIRMED)
    assert confirmed.particulars.refers_to == requested.event_id
    assert set(confirmed.particulars.held) == set(PROVEN.held)
    assert await world.allowed(world.person(JANE))


@promise("G9")
async def test_the_mail_is_in_the_language_that_the_person_chose_to_keep(world: World) -> None:
    world.subscribers.languages[world.person(JANE)] = "fr"
    await sign_up(world, await form(world), language="de")
    await sign_up(world, await form(world), "other@example.com", language="de")
    assert [mail.language for mail in world.sending.mails] == ["fr", "de"]


async def test_a_sign_up_that_was_answered_is_carried_out_after_a_crash_once(world: World) -> None:
    world.sending.away = True
    on = await form(world)
    await sign_up(world, on)
    assert world.sending.mails == []
    await world.restart()
    world.sending.away = False
    world.clock_ahead_us += 60 * 1_000_000
    await world.sign_ups_swept()
    assert len(world.sending.mails) == 1
    assert await kinds(world) == [Event.KIND_REQUESTED]


async def test_what_was_sent_lies_sealed_until_it_is_done(world: World) -> None:
    world.sending.away = True
    await sign_up(world, await form(world))
    stored = [document async for page in world.stores["consent"].collection("sign_ups").scan() for document in page]
    assert stored and JANE not in repr(stored) and "192.0.2.1" not in repr(stored)


@pytest.mark.parametrize("without_ip", [False, True])
async def test_an_ip_address_is_kept_sealed_unless_the_form_keeps_none(world: World, without_ip: bool) -> None:
    await sign_up(world, await form(world, without_ip=without_ip))
    [requested] = await history(world)
    kept = json.loads(requested.sealed_profile_evidence.removeprefix(b"sealed:"))
    assert kept == {"user_agent": "browser"} | ({} if without_ip else {"ip": "192.0.2.1"})


@promise("G2")
async def test_a_single_opt_in_is_given_at_once(world: World) -> None:
    await sign_up(world, await form(world, single_opt_in=True))
    [given_] = await history(world)
    assert (given_.kind, given_.route, given_.particulars.method) == (Event.KIND_GIVEN, pb.ROUTE_PAGE, "")
    assert world.sending.mails == []
    assert await world.allowed(world.person(JANE))


async def test_a_sign_up_on_no_form_or_with_what_no_page_shows_is_refused(world: World) -> None:
    on = await form(world)
    with pytest.raises(Invalid):  # what a page never shows is nobody's to claim
        await sign_up(world, on, held=["refusal_offered"])
    with pytest.raises(NotFound), acting_as(None):
        await world.consent.SignUp(pb.SignUpRequest(form_id="frm_none", address=JANE), None)
