"""Where a withdrawal was published is noted behind its answer, with others."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from postlaw.consent.v1 import consent_pb2 as pb
from postlaw_common.store import Document
from postlaw_common.store.embedded import EmbeddedCollection
from postlaw_common.testing.patience import until
from postlaw_common.testing.promises import promise
from postlaw_consent.ledger import LEDGER, PENDING

if TYPE_CHECKING:
    from .world import World


class Noting:
    """The store's `replace_many`, which waits for `go`: how many documents each call had."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go, self.sizes = asyncio.Event(), list[int]()
        through = EmbeddedCollection.replace_many

        async def replace_many(collection: EmbeddedCollection, documents: Sequence[Document]) -> None:
            self.sizes.append(len(documents))
            await self.go.wait()
            await through(collection, documents)

        monkeypatch.setattr(EmbeddedCollection, "replace_many", replace_many)


async def until_noted(world: World) -> None:
    async def is_noted() -> bool:
        return await world.stores["consent"].collection(LEDGER.name).count("pending", PENDING) == 0

    await until(is_noted)


async def test_places_of_withdrawals_of_about_the_same_time_are_one_write(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    noting = Noting(monkeypatch)
    people = [world.person(name) for name in ("ada", "bob", "cem", "dee", "eve", "fay")]
    for person in people:
        await world.given(person)
        await world.withdraw(person)
    assert noting.sizes == [1]
    noting.go.set()
    await until_noted(world)
    assert noting.sizes == [1, 5]


@promise("M6")
async def test_a_repetition_waits_at_the_first_ones_place_before_that_is_noted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    noting = Noting(monkeypatch)
    person = world.person("ada")
    await world.given(person)
    first = await world.withdraw(person)
    again = await world.withdraw(person)
    assert (again.event_id, again.outcome, again.already_withdrawn) == (first.event_id, pb.OUTCOME_STOPPED, True)
    assert world.sending.asked[0] == world.sending.asked[1]
    assert len(await world.events()) == 2
    noting.go.set()
    await until_noted(world)
    assert (await world.withdraw(person)).event_id == first.event_id and world.sending.asked[2] == world.sending.asked[0]
