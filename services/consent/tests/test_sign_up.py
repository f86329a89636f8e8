"""A sign-up, from the form to the confirmed consent: carried out once, capped, and never against anybody's no."""

from __future__ import annotations

import asyncio
import json
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postlaw.consent.v1 import consent_pb2 as pb
from postlaw_common.caller import acting_as
from postlaw_common.errors import Conflict, Invalid, NotFound, PostlawError
from postlaw_common.testing.promises import promise
from postlaw_consent.domain.confirmation import Confirmation, state_of, suppressed
from postlaw_consent.domain.event import Kind
from postlaw_consent.domain.fact import Fact, Terms
from postlaw_consent.domain.scope import EVERYTHING, PLATFORM, Belongs, Scope

from .conftest import HELD, PROVEN

if TYPE_CHECKING:
    from .conftest import World

JANE = "jane@example.com"
LIST, ACME = Scope("list", "lst_1"), Scope("brand", "Acme")
Event = pb.ConsentEvent


async def form(world: World, **changed: Any) -> pb.Form:
    world.subscribers.resolves = True
    sender = pb.FormSender(name="Acme", address="news@acme.example", postal_address="1 High Street")
    asked: dict[str, Any] = {"list_id": "lst_1", "language": "en", "wording": "Yes.", "purposes": ["News"], "territories": ["IE"]}
    with acting_as(world.caller):
        return await world.consent.CreateForm(pb.CreateFormRequest(sender=sender, **asked | changed), None)


async def sign_up(world: World, on: pb.Form, address: str = JANE, **changed: Any) -> None:
    """Returns once it is carried out, or cannot be for now."""
    asked: dict[str, Any] = {"held": HELD, "language": "de", "ip": "192.0.2.1", "user_agent": "browser"}
    with acting_as(None):
        await world.consent.SignUp(pb.SignUpRequest(form_id=on.form_id, address=address, **asked | changed), None)
    await world.carried_out()


async def history(world: World, address: str = JANE) -> list[pb.ConsentEvent]:
    return list((await world.listed(world.person(address))).events)


async def kinds(world: World, address: str = JANE) -> list[int]:
    return [event.kind for event in await history(world, address)]


def token_of(world: World, number: int = -1) -> str:
    return world.sending.mails[number].action_url.rpartition("/c/")[2]


async def confirm(world: World, token: str) -> pb.Confirmation:
    with acting_as(None):
        return await world.consent.ConfirmSignUp(pb.ConfirmSignUpRequest(token=token, contact_shown=True), None)


async def look(world: World, token: str) -> pb.Confirmation:
    with acting_as(None):
        return await world.consent.DescribeConfirmation(pb.DescribeConfirmationRequest(token=token), None)


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


@promise("G12")
@pytest.mark.parametrize("acts", [*product(("confirm", "withdraw", "look"), repeat=3)], ids="-".join)
async def test_a_token_confirms_once_and_never_after_a_no(world: World, acts: tuple[str, ...]) -> None:
    await sign_up(world, await form(world))
    for act in acts:
        match act:
            case "confirm":
                await confirm(world, token_of(world))
            case "withdraw":
                await world.withdraw(world.person(JANE))
            case _:
                await look(world, token_of(world))
    expected = "confirm" in acts and "withdraw" not in acts[: acts.index("confirm")]
    assert (await kinds(world)).count(Event.KIND_CONFIRMED) == expected
    assert await world.allowed(world.person(JANE)) == (expected and "withdraw" not in acts)


@promise("G12")
async def test_two_clicks_at_once_confirm_once(world: World) -> None:
    await sign_up(world, await form(world))
    done = await asyncio.gather(*(confirm(world, token_of(world)) for _ in range(8)))
    assert {one.state for one in done} == {pb.Confirmation.STATE_CONFIRMED}
    assert (await kinds(world)).count(Event.KIND_CONFIRMED) == 1


@promise("G12")
async def test_a_forged_a_foreign_and_an_expired_token_confirm_nothing(world: World) -> None:
    await sign_up(world, await form(world))
    token = token_of(world)
    opt_out = world.sending.mails[0].opt_out_token.decode()
    for wrong in ("", token[:-1], "B" + token[1:], opt_out, "x" * 100):
        with pytest.raises(Invalid) as refused:
            await confirm(world, wrong)
        assert refused.value.type == "bad-token"
    with pytest.raises(Invalid):
        await world.by_token(token)  # nor does it unsubscribe anybody
    world.clock_ahead_us += 7 * 24 * 3600 * 1_000_000
    assert (await confirm(world, token)).state == pb.Confirmation.STATE_EXPIRED
    assert await kinds(world) == [Event.KIND_REQUESTED]


@promise("M6", "G12")
@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize(
    "no",
    [
        {},
        {"scope": pb.Scope(brand="Acme")},
        {"scope": pb.Scope(everything=True)},
        {"kind": Event.KIND_COMPLAINED},
        {"kind": Event.KIND_OBJECTED},
        {"kind": Event.KIND_RESTRICTED},
    ],
)
async def test_nobodys_form_reaches_whom_an_opt_out_or_a_restriction_stands_for(world: World, single: bool, no: dict[str, Any]) -> None:
    on = await form(world, single_opt_in=single)
    await world.given(world.person(JANE))
    await world.withdraw(world.person(JANE), **no)
    before = await kinds(world)
    await sign_up(world, on)
    assert world.sending.mails == []
    assert world.subscribers.joined == []
    assert await kinds(world) == before
    assert not await world.allowed(world.person(JANE), brand="Acme")


@promise("M6", "G12")
@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("grade", [pb.EVIDENCE_GRADE_NONE, pb.EVIDENCE_GRADE_ATTESTED])
async def test_a_consent_that_lifted_nothing_does_not_let_somebody_elses_form_lift_it(
    world: World, single: bool, grade: pb.EvidenceGrade.ValueType
) -> None:
    on = await form(world, single_opt_in=single)
    await world.given(world.person(JANE))
    await world.withdraw(world.person(JANE))
    synced = pb.Particulars(grade=grade, held=PROVEN.held, territories=["IE"])  # as another system says it
    await world.given(world.person(JANE), particulars=synced, wording="Yes.", source="a sync")
    assert not await world.allowed(world.person(JANE))
    before = await kinds(world)
    await sign_up(world, on)
    assert world.sending.mails == []
    assert await kinds(world) == before
    assert not await world.allowed(world.person(JANE))


@promise("G12")
async def test_who_signs_up_with_an_address_that_bounced_shows_by_the_click_that_it_takes_mail_again(world: World) -> None:
    on = await form(world)
    await world.withdraw(world.person(JANE), kind=Event.KIND_BOUNCED)
    await sign_up(world, on)
    [mail] = world.sending.mails
    assert mail.brand == "Acme"
    await confirm(world, token_of(world))
    await confirm(world, token_of(world))
    assert (await kinds(world))[-2:] == [Event.KIND_REACHABLE, Event.KIND_CONFIRMED]
    assert await world.allowed(world.person(JANE))


@promise("M6")
@pytest.mark.parametrize("kind", [Event.KIND_BOUNCED, Event.KIND_ERASED])
async def test_single_opt_in_opens_nothing_where_an_address_bounced_or_a_person_was_erased(
    world: World, kind: pb.ConsentEvent.Kind.ValueType
) -> None:
    await world.withdraw(world.person(JANE), kind=kind)
    await sign_up(world, await form(world, single_opt_in=True))
    assert not await world.allowed(world.person(JANE))


@promise("G12")
async def test_who_was_erased_comes_back_by_confirming_and_nothing_of_before_counts(world: World) -> None:
    on = await form(world)
    await world.given(world.person(JANE), "lst_2")
    await world.withdraw(world.person(JANE), kind=Event.KIND_ERASED)
    await sign_up(world, on)
    assert not await world.allowed(world.person(JANE))
    await confirm(world, token_of(world))
    assert await world.allowed(world.person(JANE))
    assert not await world.allowed(world.person(JANE), "lst_2")


@promise("G12")
async def test_no_address_gets_more_than_its_mails_a_day_over_all_customers(world: World) -> None:
    on = await form(world)
    for number in range(8):
        with world.tenant(f"ten_0000000000000000000000000{number}"):
            on = await form(world)
            for address in ("victim@gmail.com", "vic.tim+1@GMAIL.com", "victim+x@googlemail.com", '"victim+ x"@gmail.com'):
                world.clock_ahead_us += 301 * 1_000_000  # later than one customer's pause between two
                await sign_up(world, on, address)
    assert len(world.sending.mails) == 5
    world.clock_ahead_us += 24 * 3600 * 1_000_000 + 1
    await sign_up(world, on, "victim@gmail.com")
    assert len(world.sending.mails) == 6
    stored = [document async for page in world.stores["consent"].collection("confirmation_caps").scan() for document in page]
    assert stored and "victim" not in repr(stored) and "gmail" not in repr(stored)


@promise("G12")
async def test_one_customer_mails_an_address_once_in_a_few_minutes(world: World) -> None:
    on = await form(world)
    await sign_up(world, on)
    await sign_up(world, on)
    assert len(world.sending.mails) == 1
    world.clock_ahead_us += 301 * 1_000_000
    await sign_up(world, on)
    assert len(world.sending.mails) == 2


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


async def test_a_form_is_made_once_by_its_key_and_another_customer_does_not_see_it(world: World) -> None:
    first = await form(world, idempotency_key="one")
    assert (await form(world, idempotency_key="one")).form_id == first.form_id
    with pytest.raises(PostlawError):
        await form(world, idempotency_key="one", wording="Other words.")
    with acting_as(world.caller):
        assert [one.form_id for one in (await world.consent.ListForms(pb.ListFormsRequest(), None)).forms] == [first.form_id]
    with world.tenant("ten_other"), acting_as(world.caller), pytest.raises(NotFound):
        await world.consent.GetForm(pb.GetFormRequest(form_id=first.form_id), None)
    with acting_as(world.caller):
        notice = await world.consent.GetNotice(pb.GetNoticeRequest(notice_hash=first.notice_hash), None)
    assert (notice.wording, notice.language) == ("Yes.", "en")


@promise("G12", "A1")
async def test_on_a_retired_form_nobody_signs_up_and_who_has_may_still_confirm(world: World) -> None:
    on = await form(world)
    await sign_up(world, on)
    with world.tenant("ten_other"), acting_as(world.caller), pytest.raises(NotFound):
        await world.consent.RetireForm(pb.GetFormRequest(form_id=on.form_id), None)
    with acting_as(world.caller):
        retired = await world.consent.RetireForm(pb.GetFormRequest(form_id=on.form_id), None)
        world.clock_ahead_us += 1_000_000
        again = await world.consent.RetireForm(pb.GetFormRequest(form_id=on.form_id), None)
    assert retired.HasField("retired_at")
    assert again == retired
    made, gone = [pb.FormChanged.FromString(record.value) for record in await world.published("postlaw.consent.forms.v1")]
    assert (made.version, gone.version, made.after) == (1, 2, gone.before)
    assert not made.HasField("before")
    assert gone.after.retired_at == retired.retired_at
    assert not gone.before.HasField("retired_at")
    assert (gone.after.notice_hash, gone.after.wording) == (retired.notice_hash, "")
    with pytest.raises(Conflict) as refused:
        await sign_up(world, on, "other@example.com")
    assert refused.value.type == "form-retired"
    assert (await confirm(world, token_of(world))).state == pb.Confirmation.STATE_CONFIRMED


@promise("G12")
async def test_who_was_answered_before_the_form_was_retired_gets_their_mail(world: World) -> None:
    world.sending.away = True
    on = await form(world)
    await sign_up(world, on)
    with acting_as(world.caller):
        await world.consent.RetireForm(pb.GetFormRequest(form_id=on.form_id), None)
    world.sending.away = False
    world.clock_ahead_us += 60 * 1_000_000
    await world.sign_ups_swept()
    assert len(world.sending.mails) == 1


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"language": "??"}, "language"),
        ({"territories": ["Ireland"]}, "territories"),
        ({"wording": " "}, "wording"),
        ({"purposes": [""]}, "purposes"),
    ],
)
async def test_a_form_that_cannot_be_is_refused_with_its_field(world: World, changed: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        await form(world, **changed)
    assert [wrong.field for wrong in refused.value.fields] == [field]


async def test_a_sign_up_on_no_form_or_with_what_no_page_shows_is_refused(world: World) -> None:
    on = await form(world)
    with pytest.raises(Invalid):  # what a page never shows is nobody's to claim
        await sign_up(world, on, held=["refusal_offered"])
    with pytest.raises(NotFound), acting_as(None):
        await world.consent.SignUp(pb.SignUpRequest(form_id="frm_none", address=JANE), None)


_KINDS: tuple[Kind, ...] = ("requested", "given", "withdrawn", "confirmed", "complained", "paused", "restricted", "unrestricted")
_FACTS = st.lists(
    st.tuples(st.sampled_from(_KINDS), st.sampled_from((LIST, Scope("list", "lst_2"), ACME, EVERYTHING)), st.integers(0, 6)), max_size=8
)


def facts(acts: list[tuple[Kind, Scope, int]]) -> list[Fact]:
    return [
        Fact(version, kind, scope.key, "page", version, Terms(refers_to=refers if kind == "confirmed" else 0))
        for version, (kind, scope, refers) in enumerate(acts, 1)
    ]


@promise("G12")
@given(_FACTS, st.integers(1, 8), st.integers(0, 20))
def test_nobody_is_confirmed_without_a_request_and_nothing_expired_is_open(
    acts: list[tuple[Kind, Scope, int]], version: int, now: int
) -> None:
    history = facts(acts)
    state = state_of(Confirmation("ten_1", b"", LIST, "frm_1", version, 10), Belongs(LIST, "Acme"), history, now)
    requests = [fact.version for fact in history if fact.kind == "requested" and fact.scope == LIST.key]
    assert (state is not None) == (version in requests)
    if state == "open":
        assert now < 10
        assert not any(
            fact.kind in ("withdrawn", "complained", "restricted") and fact.version > version and fact.scope != "list:lst_2"
            for fact in history
        )


@promise("M6")
@given(_FACTS)
def test_a_no_after_everything_else_suppresses(acts: list[tuple[Kind, Scope, int]]) -> None:
    for scope in (LIST, ACME, EVERYTHING, PLATFORM):
        history = facts([*acts, ("withdrawn", scope, 0)])
        for confirming in (False, True):
            assert suppressed(history, Belongs(LIST, "Acme"), confirming=confirming)


@given(_FACTS)
def test_who_was_erased_may_come_back_only_by_confirming_it(acts: list[tuple[Kind, Scope, int]]) -> None:
    history = facts([*acts, ("erased", EVERYTHING, 0)])
    assert suppressed(history, Belongs(LIST, "Acme"), confirming=False)
    said_no = any(kind in ("withdrawn", "complained", "restricted") for kind, _, _ in acts)
    assert said_no or not suppressed(history, Belongs(LIST, "Acme"), confirming=True)
