"""What a relay with a queue of its own may still hold of somebody's mail, so that whoever says stop is told (design §3; ADR 37).

Only where the relay declares its queue's life. A worker notes here whom it has handed a message to, a batch at a time and before the batch
leaves its holding; of batches that are not noted yet it says so with its watermark. So at no time is a message in neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from postlaw_common.store import Collection, CollectionSpec, Index
from postlaw_sending.returns.days import day_of, forget_old
from postlaw_sending.stop.scope import covers

AT_RELAY: Final = CollectionSpec("at_relay", (Index("day"),), range_parts=1, packed=True)
LONGEST_S: Final = 14 * 86_400
_DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class Handed:
    """A message that the relay took, or may have taken, from us at `at_us`."""

    tag: bytes
    scope: str
    at_us: int


class RelayQueue:
    """`collection`: `at_relay` of the database `sending`. `life_s`: for so long the relay keeps what it cannot hand on."""

    def __init__(self, collection: Callable[[], Collection], life_s: int, now_us: Callable[[], int]) -> None:
        self._open = collection
        self._life_us = life_s * 1_000_000
        self._now_us = now_us

    async def note(self, handed: Iterable[Handed]) -> None:
        """Again changes nothing. Raises StoreUnavailable."""
        documents = [
            {"_id": f"{one.tag.hex()}/{one.at_us:016d}", "scope": one.scope, "day": day_of(one.at_us)}
            for one in handed
            if one.at_us > self._since_us()
        ]
        if documents:
            await self._open().insert_many(documents)

    async def holds(self, tag: bytes, scope: str, live: Iterable[int] = ()) -> tuple[int, int]:
        """How many messages to that recipient it may still hold of what this scope covers, and until when (0: none). `live`: when those
        were handed over that a watermark tells of. Raises StoreUnavailable."""
        since_us = self._since_us()
        handed = {at_us for at_us in live if at_us > since_us}
        prefix = f"{tag.hex()}/"
        async with aclosing(self._open().under(prefix, after=f"{prefix}{since_us:016d}")) as pages:
            async for page in pages:
                handed |= {int(each["_id"].removeprefix(prefix)) for each in page if covers(scope, each["scope"])}
        return len(handed), max(handed) + self._life_us if handed else 0

    def _since_us(self) -> int:
        return self._now_us() - self._life_us

    async def forget(self) -> None:
        """Removes what no queue can hold any more. Raises StoreUnavailable."""
        await forget_old(self._open(), "day", self._now_us(), 1 + self._life_us // (_DAY_S * 1_000_000))
