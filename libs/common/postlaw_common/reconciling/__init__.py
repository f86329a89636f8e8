"""Holding what a service keeps against a second source (promise S8): what a check is, and what it finds.

A check reads both sides in pages, in constant memory, and changes nothing. It says with each page how far it is, so that another process
goes on there; and it looks at nothing younger than `quiet_s`, which may still be on its way from the one side to the other.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from postlaw_common.bus import Bus, Received
from postlaw_common.bus.once import whole_topic

GAP: Final = 500  # records that are read along rather than passed over
AT_ONCE: Final = 2_000  # records


class ReconcilingSettings(BaseSettings):
    """`POSTLAW_RECONCILE_…`, the same for every service."""

    model_config = SettingsConfigDict(env_prefix="POSTLAW_RECONCILE_", env_ignore_empty=True, extra="ignore", frozen=True)

    every_s: float = Field(86_400.0, gt=0, le=30 * 86_400, description="seconds between two looks of a check")
    quiet_s: float = Field(600.0, ge=0, le=86_400, description="seconds that what has just happened is left alone")

    def before_us(self, now_us: Callable[[], int]) -> Callable[[], int]:
        """Up to when a look that begins now goes."""
        return lambda: now_us() - int(self.quiet_s * 1e6)


@dataclass(frozen=True, slots=True)
class Difference:
    """`what` the two sides do not agree on; `ids` by which somebody finds both; `tenant_id` whose it is, "" for nobody's."""

    what: str
    ids: tuple[str, ...]
    tenant_id: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """A page was looked at. `cursor`: where to go on."""

    cursor: str
    looked_at: int
    differences: Sequence[Difference] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class Check:
    """`look` goes on where a cursor says, "" for the beginning. It raises what the stores and the bus raise."""

    name: str
    look: Callable[[str], AsyncGenerator[Step]]


def on_bus(topic: str, partition: int, offset: int) -> str:
    """A record's place, as a difference names it."""
    return f"{topic}/{partition}@{offset}"


async def records_at(bus: Bus, topic: str, places: Iterable[tuple[int, int]]) -> dict[tuple[int, int], Received]:
    """The records at these (partition, offset), but for those that the bus has no more.

    Those that stand near each other are read at once, with what is between them: one record costs Kafka as much as hundreds."""
    found: dict[tuple[int, int], Received] = {}
    for partition, offsets in _near(places):
        wanted = set(offsets)
        for record in await bus.read_range(topic, partition, offsets[0], offsets[-1] + 1):
            if record.offset in wanted:
                found[partition, record.offset] = record
    return found


def _near(places: Iterable[tuple[int, int]]) -> Iterator[tuple[int, list[int]]]:
    """Offsets ascending by partition, in groups without a wide gap."""
    partition, group = -1, list[int]()
    for at, offset in sorted(set(places)):
        if group and (at != partition or offset - group[-1] > GAP or offset - group[0] >= AT_ONCE):
            yield partition, group
            group = []
        partition = at
        group.append(offset)
    if group:
        yield partition, group


async def pages_of(bus: Bus, topic: str, cursor: str, before_us: int) -> AsyncGenerator[tuple[str, list[Received]]]:
    """(cursor behind it, records) of a topic, up to its end of now; what the bus took after `before_us` is left out."""
    at: Mapping[str, int] = json.loads(cursor) if cursor else {}
    places = {int(partition): offset for partition, offset in at.items()}
    async with aclosing(whole_topic(bus, topic, start=places)) as pages:
        async for page in pages:
            for record in page:
                places[record.partition] = record.offset + 1
            yield json.dumps(places), [record for record in page if record.timestamp_us <= before_us]
