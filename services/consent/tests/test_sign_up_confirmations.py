"""The click on the link of a confirmation mail: what it confirms, once, and what it never does."""

from __future__ import annotations

import asyncio
from itertools import product
from typing import TYPE_CHECKING

import pytest

from postlaw.consent.v1 import consent_pb2 as pb
from postlaw_common.errors import Invalid
from postlaw_common.testing.promises import promise

from .signing_up import JANE, Event, confirm, form, kinds, look, sign_up, token_of

if TYPE_CHECKING:
    from .world import World


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
