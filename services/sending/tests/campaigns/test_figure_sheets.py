"""The sheets that figures are counted on: each event once, whoever else writes, and many places at the price of one."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest

from postlaw_common.store import Collection, open_store
from postlaw_common.testing.promises import promise
from postlaw_sending.analytics.figures import FIGURES, Counted, FigureSheets

SENT = "sent"


def event(partition: int, offset: int, event_id: str = "") -> Counted:
    return Counted("ten_1", "cmp_1", "settled", partition, offset, event_id or f"evt_{partition}_{offset}", Counter({SENT: 1}))


class Noting:
    """The collection, which notes what it is asked, and lets somebody come in between."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self.asked: list[str] = []
        self.before: dict[str, Callable[[], Awaitable[Any]]] = {}

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._collection, name)

        async def noted(*given: Any, **named: Any) -> Any:
            self.asked.append(name)
            if come := self.before.pop(name, None):
                await come()
            return await call(*given, **named)

        return noted if name != "scan" else call


@pytest.fixture
async def collection(tmp_path: Path) -> AsyncIterator[Collection]:
    store = open_store("sqlite:", "sending", state=str(tmp_path))
    await store.start([FIGURES])
    yield store.collection(FIGURES.name)
    await store.close()


async def test_the_first_events_of_many_places_are_two_calls(collection: Collection) -> None:
    noting = Noting(collection)
    sheets = FigureSheets(lambda: cast("Collection", noting))
    await sheets.add([event(partition, offset) for partition in range(64) for offset in range(3)])
    assert noting.asked == ["get_many", "insert_many"]
    assert await sheets.of_campaign("cmp_1") == {SENT: 192}


@promise("S8")
async def test_an_event_counts_once_however_often_and_by_whomever_it_is_given(collection: Collection) -> None:
    sheets = FigureSheets(lambda: collection)
    for _ in range(2):
        await sheets.add([event(0, 0), event(0, 1), event(1, 0)])
    await sheets.add([event(0, 2, "evt_0_1"), event(0, 3), event(2, 0)])
    assert await sheets.of_campaign("cmp_1") == {SENT: 5}


@promise("S8")
@pytest.mark.parametrize("moment", ["insert_many", "replace"])
async def test_what_somebody_else_counts_in_between_is_neither_lost_nor_counted_twice(collection: Collection, moment: str) -> None:
    noting, other = Noting(collection), FigureSheets(lambda: collection)
    if moment == "replace":
        await other.add([event(0, 0)])
    noting.before[moment] = lambda: other.add([event(0, 0), event(0, 1), event(1, 0)])
    await FigureSheets(lambda: cast("Collection", noting)).add([event(0, 1), event(0, 2), event(1, 0), event(1, 1)])
    assert not noting.before, "somebody came"
    assert await other.of_campaign("cmp_1") == {SENT: 5}


async def test_a_sheet_that_went_in_between_is_begun_anew(collection: Collection) -> None:
    noting, sheets = Noting(collection), FigureSheets(lambda: collection)
    await sheets.add([event(0, 0)])
    [sheet] = await collection.find("campaign_id", "cmp_1")
    noting.before["replace"] = lambda: collection.delete(sheet["_id"])
    await FigureSheets(lambda: cast("Collection", noting)).add([event(0, 1)])
    assert await sheets.of_campaign("cmp_1") == {SENT: 1}


async def test_a_sheet_that_is_missing_is_put_there_once(collection: Collection) -> None:
    sheets = FigureSheets(lambda: collection)
    await sheets.add([event(0, 0)])
    [sheet] = await collection.find("campaign_id", "cmp_1")
    found = await sheets.find(sheet["_id"])
    assert found is not None
    await collection.delete(sheet["_id"])
    assert await sheets.put(sheet["_id"], found[0], 0)
    assert not await sheets.put(sheet["_id"], found[0], 0), "somebody else has put it there"
    assert await sheets.of_campaign("cmp_1") == {SENT: 1}
