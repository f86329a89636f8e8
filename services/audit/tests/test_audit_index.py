"""The index of events: each is found where its entry stands, however many batches came in its second."""

from __future__ import annotations

import hashlib
import random
from typing import Any, cast

from postlaw_audit.entries import second_of
from postlaw_audit.index import EVENT_INDEX, EventIndex
from postlaw_common.ids import new_id
from postlaw_common.store import Collection, Document
from services.audit.tests.installation import Installation


async def test_each_event_is_found_over_all_pages_of_its_second(there: Installation) -> None:
    start, added, second = 0, list[tuple[int, str]](), new_id("evt")[:-16]
    for count in (3, 1000, *[1] * 110):
        ids = [f"{second}{new_id('evt')[-16:]}" for _ in range(count)]
        for _ in range(2):  # whoever follows a crashed writer adds again
            await there.index.add(start, ids)
        added += enumerate(ids, start)
        start += count
    for index, id in [*random.Random(1).sample(added, 200), added[0], added[-1]]:
        assert await there.index.candidates(id) == [index]
    assert await there.index.candidates(new_id("evt")) == []


async def test_one_event_of_a_full_second_costs_a_sixty_fourth_of_its_rows(there: Installation) -> None:
    second, read = new_id("evt")[:-16], list[int]()
    ids = [f"{second}{new_id('evt')[-16:]}" for _ in range(4096)]
    await there.index.add(0, ids)
    collection = there.store.collection(EVENT_INDEX.name)

    class Counted:
        async def find(self, *asked: Any, **more: Any) -> list[Document]:
            page = await collection.find(*asked, **more)
            read.extend(len(document["rows"]) // 12 for document in page)
            return page

    assert await EventIndex(lambda: cast("Collection", Counted())).candidates(ids[1234]) == [1234]
    assert sum(read) < 4096 / 32


async def test_an_event_that_an_earlier_version_put_into_the_index_is_found_once(there: Installation) -> None:
    second = new_id("evt")[:-16]
    ids = [f"{second}{new_id('evt')[-16:]}" for _ in range(300)]
    await there.index.add(7, ids[:3])  # as they stood when a second's rows were in one document, however many
    await there.index.add(7, ids)
    assert await there.index.candidates(ids[1]) == [8]


async def test_an_event_of_a_second_that_an_earlier_version_had_in_sixteen_parts_is_found(there: Installation) -> None:
    id = new_id("evt")
    hashed = hashlib.sha256(id.encode()).digest()
    part = f"{second_of(id):011d}.{hashed[0] >> 4:x}"
    row = hashed[:8] + (5).to_bytes(4, "big")
    await there.store.collection(EVENT_INDEX.name).insert({"_id": f"{part}/000000000000007", "second": part, "start": 7, "rows": row})
    assert await there.index.candidates(id) == [12]
