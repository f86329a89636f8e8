"""How many confirmation mails an address gets: nobody is flooded by means of other people's forms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from postlaw_common.testing.promises import promise

from .signing_up import form, sign_up

if TYPE_CHECKING:
    from .world import World


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
