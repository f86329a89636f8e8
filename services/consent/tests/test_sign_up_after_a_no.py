"""Nobody is signed up against their own no: neither by somebody else's form, nor by a consent that lifted nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from postlaw.consent.v1 import consent_pb2 as pb
from postlaw_common.testing.promises import promise

from .signing_up import JANE, Event, form, kinds, sign_up
from .world import PROVEN

if TYPE_CHECKING:
    from .world import World


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


@promise("M6")
@pytest.mark.parametrize("kind", [Event.KIND_BOUNCED, Event.KIND_ERASED])
async def test_single_opt_in_opens_nothing_where_an_address_bounced_or_a_person_was_erased(
    world: World, kind: pb.ConsentEvent.Kind.ValueType
) -> None:
    await world.withdraw(world.person(JANE), kind=kind)
    await sign_up(world, await form(world, single_opt_in=True))
    assert not await world.allowed(world.person(JANE))
