"""The bus: a partitioned, durable, ordered log per topic.

Kafka's words and Kafka's rules: a record has a partition and, once published, an offset; order holds within a partition;
offsets start at 0 and grow. `open_bus` chooses the adapter by URL; a real one is imported only when its URL asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, Protocol


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as this installation must have it. `partitions` None: the installation's own count (64; 16 embedded)."""

    name: str
    partitions: int | None = None
    retention_days: int = 30


_NO_HEADERS: Mapping[str, bytes] = MappingProxyType({})


class Record(NamedTuple):
    """A record to publish. Headers are CloudEvents attributes in binary mode, as Kafka has them.

    A tuple, as Received is: an import makes them by the hundred thousand, and a frozen dataclass costs four times as much."""

    topic: str
    partition: int
    value: bytes
    key: bytes | None = None
    headers: Mapping[str, bytes] = _NO_HEADERS


class Received(NamedTuple):
    """A record as it was read. `timestamp_us`: when the bus took it, microseconds since the epoch."""

    topic: str
    partition: int
    offset: int
    value: bytes
    key: bytes | None
    headers: Mapping[str, bytes]
    timestamp_us: int


class BusUnavailable(Exception):
    """The bus cannot be reached, or did not answer within its time-out. Nothing is known of what was being published."""


class TopicMismatch(Exception):
    """A topic exists with other partitions or settings than this installation needs; the message says which and what to do."""


class Reader(Protocol):
    """Reads by assignment: no group, no commits; the caller keeps its own positions."""

    async def assign(self, positions: Mapping[tuple[str, int], int]) -> None:
        """Read exactly these (topic, partition)s, each from the given offset on. Replaces every earlier assignment and position."""
        ...

    async def read(self, *, max_records: int = 500, timeout: float = 1.0, topic: str = "") -> list[Received]:
        """The next records, in order within each partition; [] when none came within `timeout` seconds.

        `topic`: of this one alone; what has come of the others stays for a later read.

        Raises BusUnavailable when the bus is known to be gone (an adapter must not pass off a dead bus as a quiet one for
        longer than about two seconds)."""
        ...

    async def close(self) -> None: ...


class GroupReader(Protocol):
    """Reads as a member of a consumer group: partitions are spread over the members, positions are the committed offsets."""

    async def read(self, *, max_records: int = 500, timeout: float = 1.0) -> list[Received]: ...

    async def commit(self, records: Sequence[Received]) -> None:
        """Everything up to and including these records is done with. Call it after their effects are durable."""
        ...

    async def lag(self) -> dict[str, int]:
        """By topic: records that the group has yet to commit, in the partitions that are this member's. Raises BusUnavailable."""
        ...

    async def close(self) -> None: ...


class EndOffsets(Protocol):
    """A client that does nothing but ask for end offsets, so that no long poll ever delays the answer (design §3, rule 4)."""

    async def end_offsets(self, partitions: Sequence[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """For each partition the offset that its next record will get, asked of the log now. Raises BusUnavailable."""
        ...

    async def close(self) -> None: ...


class Bus(Protocol):
    """One installation's bus."""

    @property
    def partitions(self) -> int:
        """The installation's partition count, fixed when it was installed."""
        ...

    async def start(self) -> None: ...

    async def ensure_topics(self, topics: Sequence[Topic]) -> None:
        """Creates the missing ones and checks the others. Raises TopicMismatch."""
        ...

    async def publish(self, records: Sequence[Record]) -> list[int]:
        """Appends and returns the offsets, in the order given, once all are durable (acks=all; fsync).

        Records of one partition keep their order among themselves. Concurrent calls are gathered into one write.
        Raises BusUnavailable: each record may then be in the log, or not."""
        ...

    async def reader(self, *, unhurried: bool = False, standing: bool = False) -> Reader:
        """`unhurried`: for whoever reads much and steadily, and need not have each record at once: it may come a quarter of a second
        later, with those that follow it. `standing`: for whoever is given its partitions once and reads all of them; it asks less often."""
        ...

    async def group(self, group: str, topics: Sequence[str]) -> GroupReader:
        """Its readers are unhurried, too (half a second), and standing: what a member is given later may wait two seconds."""
        ...

    async def end_offset_client(self) -> EndOffsets: ...

    async def read_range(self, topic: str, partition: int, start: int, end: int) -> list[Received]:
        """The records with start <= offset < end, for a short look back. Raises BusUnavailable."""
        ...

    async def close(self) -> None: ...


def open_bus(url: str, *, state: str, partitions: int | None = None, client_id: str = "postlaw") -> Bus:
    """The bus that a URL names, not yet started: `embedded:` (a file below the directory `state`) or `kafka://host:port,…`."""
    if url.startswith("embedded:"):
        from postlaw_common.bus.embedded import EmbeddedBus

        return EmbeddedBus(state, partitions=partitions or 16)
    if url.startswith("kafka://"):
        from postlaw_common.bus.kafka import KafkaBus

        return KafkaBus(url, partitions=partitions or 64, client_id=client_id)
    raise ValueError(f"POSTLAW_BUS is {url!r}; it must begin with 'embedded:' or 'kafka://'")
