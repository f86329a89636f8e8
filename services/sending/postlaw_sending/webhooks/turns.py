"""When to look at whose messages: a document for each time at which the next message about somebody is due at a webhook.

Its `_id` sorts by webhook and due time, so that a look reads, of each webhook for which anything waits, those that are due longest and
none of the others. A turn is a hint, never the truth: when a message is due it says itself. A turn too many is a look too many.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from postlaw_common.store import Collection, CollectionSpec, Document, Index

TURNS = CollectionSpec("webhook_turns", (Index("waits"),))
TOGETHER: Final = 8  # of one webhook: a slow one keeps no other waiting
PIECE: Final = 4 * TOGETHER
_WAITS: Final = ("waits", "yes")


@dataclass(frozen=True, slots=True)
class Turn:
    """`lane`: the webhook's id / whom its message is about. `event_id`: whose message it was made for, so that no two events share one."""

    lane: str
    due_us: int
    event_id: str

    @property
    def webhook_id(self) -> str:
        return self.lane.partition("/")[0]

    @property
    def id(self) -> str:
        webhook_id, _, about = self.lane.partition("/")
        return f"{webhook_id}/{self.due_us:017d}/{about}/{self.event_id}"


class Turns:
    """`collection`: `webhook_turns` of the database `sending`. Every method raises StoreUnavailable."""

    def __init__(self, collection: Callable[[], Collection]) -> None:
        self._open = collection

    async def put(self, turns: Sequence[Turn]) -> None:
        """Again changes nothing."""
        await self._open().insert_many([{"_id": turn.id, "waits": "yes"} for turn in turns])

    async def follow(self, turn: Turn, after: Turn | None) -> None:
        """This one is over; `after` comes of it."""
        if after == turn:
            return
        if after is not None:
            await self.put([after])
        await self._open().delete(turn.id)

    async def due(self, now_us: int, under_way: Mapping[str, str]) -> list[Turn]:
        """Of each webhook those due longest, one for each lane, as many as may be sent beside what is `under_way`: webhooks, by lane."""
        due: list[Turn] = []
        busy = Counter(under_way.values())
        lanes = set(under_way)
        after = done = ""
        while page := await self._open().find(*_WAITS, after=after, limit=PIECE):
            for document in page:
                turn = _turn(document)
                if turn.webhook_id == done:
                    continue
                if turn.due_us > now_us or busy[turn.webhook_id] >= TOGETHER:
                    done = turn.webhook_id  # what follows of it is due later, or has to wait as well
                elif turn.lane not in lanes:
                    lanes.add(turn.lane)
                    busy[turn.webhook_id] += 1
                    due.append(turn)
            last = page[-1]["_id"]
            after = f"{done}/~" if last.startswith(f"{done}/") else last
        return due


def _turn(document: Document) -> Turn:
    webhook_id, due_us, about, event_id = document["_id"].split("/", 3)
    return Turn(f"{webhook_id}/{about}", int(due_us), event_id)
