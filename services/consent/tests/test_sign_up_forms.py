"""Forms: made once, never another customer's, retired for good, and refused with the field that is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from postlaw.consent.v1 import consent_pb2 as pb
from postlaw_common.caller import acting_as
from postlaw_common.errors import Conflict, Invalid, NotFound, PostlawError
from postlaw_common.testing.promises import promise

from .signing_up import confirm, form, sign_up, token_of

if TYPE_CHECKING:
    from .world import World


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
