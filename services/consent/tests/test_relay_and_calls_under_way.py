"""The relay meets a call that is still writing, since the machine is slow: what it has yet to write is not lost with it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from itertools import islice

import pytest

from postlaw.consent.v1 import consent_pb2 as pb
from postlaw_common.caller import acting_as
from postlaw_common.store import Document
from postlaw_common.testing.promises import promise
from postlaw_consent import relay
from postlaw_consent.intents import INTENTS, Intent, Intents
from postlaw_consent.ledger import LEDGER, Ledger

from .world import World

PEOPLE, FIRST = 300, 100


class SlowLedger:
    """Takes the first of a bulk, and the rest once `goes_on` is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.half_way, self.goes_on = asyncio.Event(), asyncio.Event()
        append = Ledger.append_documents

        async def slow(ledger: Ledger, documents: Iterable[Document], call: str) -> set[str]:
            rest = iter(documents)
            taken = await append(ledger, list(islice(rest, FIRST)), call)
            self.half_way.set()
            await self.goes_on.wait()
            return taken | await append(ledger, list(rest), call)

        monkeypatch.setattr(Ledger, "append_documents", slow)


def suppressing(world: World) -> asyncio.Task[pb.SuppressManyResponse]:
    asked = [world.person(str(number)) for number in range(PEOPLE)]
    request = pb.SuppressManyRequest(address_keys=asked, source="the old provider", sealed_attestation=b"sealed", idempotency_key="imp_1")
    with acting_as(world.caller):
        return asyncio.create_task(world.consent.SuppressMany(request, None))


@promise("S8", "M6")
async def test_what_a_slow_call_has_yet_to_write_is_published_though_it_dies_after_another_processs_relay_was_here(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = SlowLedger(monkeypatch)
    call = suppressing(world)
    await ledger.half_way.wait()
    world.clock_ahead_us = 10_000_000
    assert await world.relay.sweep() == FIRST
    assert await world.relay.sweep() == 0, "what it published, it does not publish with each look"

    world.bus.hanging = True
    ledger.goes_on.set()
    while await world.stores["consent"].collection(LEDGER.name).count() < PEOPLE:
        await asyncio.sleep(0.01)
    call.cancel()
    await world.restart()
    world.clock_ahead_us = 30_000_000
    await world.relay.sweep()
    assert len({event.address_key for event in await world.events()}) == PEOPLE
    assert await world.stores["consent"].collection(INTENTS.name).count() == 0


@promise("S8")
async def test_a_process_does_not_take_what_it_is_writing_itself_for_abandoned(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = asyncio.Semaphore(0)
    opened = Intents.open

    async def seen(intents: Intents, *, after: str = "", limit: int = 20) -> list[Intent]:
        looks.release()
        return await opened(intents, after=after, limit=limit)

    monkeypatch.setattr(Intents, "open", seen)
    monkeypatch.setattr(relay, "EVERY_S", 0.01)
    ledger = SlowLedger(monkeypatch)
    call = suppressing(world)
    await ledger.half_way.wait()
    world.clock_ahead_us = 10_000_000
    [background] = [one for one in world.service.backgrounds if one.name == "relay"]
    sweeping = asyncio.ensure_future(background.run())
    for _ in range(4):
        await looks.acquire()
    ledger.goes_on.set()
    await call
    assert len(await world.events()) == PEOPLE
    sweeping.cancel()
    await asyncio.gather(sweeping, return_exceptions=True)
