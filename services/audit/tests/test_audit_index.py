"""The index of events: each is found where its entry stands, however many batches came in its second."""

from __future__ import annotations

import random

from postlaw_common.ids import new_id
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
